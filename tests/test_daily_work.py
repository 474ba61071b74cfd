"""What the seeds ask of every recipe, tried through the command line: models of one's own making, several applications at work on one task, real mail."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from libax_automate.testing.mailbox import Delivery, Mailbox
from libax_automate.testing.service import Reply, Request, Service
from tests.conftest import Cli

PEOPLE = """\
id,name,first_name,email,mobile,birth_date,created_at,status,person_type
1,Ana Silva,Ana,ana@example.com,+351910000001,1980-12-24,2026-12-20T10:00:00Z,active,person
2,Rui Costa,Rui,rui@example.com,+351910000002,1975-12-25,2026-12-24T08:00:00Z,active,person
"""
PROFILE = """\
name = "acme"
timezone = "Europe/Lisbon"
locale = "pt_PT"
country = "PT"
activation = "immediate"

[defaults]
email = "correio"
sms = "sms"

[apps.crm]
connector = "csv"
contacts = "people.csv"

[apps.correio]
connector = "smtp"
host = "{host}"
port = {port}
security = "none"
sender = "Padaria <geral@example.com>"

[apps.sms]
connector = "http"
url = "{url}/sms"
headers = {{ X-Loja = "padaria" }}
json = {{ para = "{{{{ message.to }}}}", texto = "{{{{ message.text }}}}" }}
allow_private = ["127.0.0.1/32"]
"""
BEFORE, DAY = "2026-12-23T12:00", "2026-12-24T10:00"


@pytest.fixture
def gateway() -> Iterator[Service]:
    """An SMS gateway."""
    with Service() as service:
        service.on("/sms", Reply(200, {"id": "g-1"}))
        yield service


@pytest.fixture
def office(home: Path, gateway: Service) -> Iterator[Callable[[str], Mailbox]]:
    """Writes the profile with some models beside its people; answers the mailbox of everybody."""
    with Mailbox() as box:

        def write(models: str) -> Mailbox:
            (home / "people.csv").write_text(PEOPLE, encoding="utf-8")
            path = home / "profiles.toml"
            path.write_text(PROFILE.format(host=box.host, port=box.port, url=gateway.url) + models, encoding="utf-8")
            path.chmod(0o600)
            return box

        yield write


def body(mail: Delivery) -> str:
    part = mail.parsed().get_body(("plain",))
    assert part is not None
    return str(part.get_content()).strip()


def texts(gateway: Service) -> list[dict[str, str]]:
    return [json.loads(request.body) for request in gateway.requests if request.path == "/sms"]


@pytest.mark.req("LX-21", "IB-04")
def test_one_recipe_serves_several_models_each_with_rules_and_a_description_of_its_own(
    office: Callable[[str], Mailbox], gateway: Service, cli: Cli, home: Path
) -> None:
    box = office("""
[models.cartao]
use = "birthday"
source = "crm"
description = "Parabéns por e-mail, um dia antes"
days_before = 1
at = "09:30"
subject = "Amanhã é o dia"
text = "Olá {{ first_name }}"

[models.sms]
use = "birthday"
source = "crm"
description = "Parabéns por SMS, no próprio dia"
channel = "sms"
at = "09:45"
where = "first_name == 'Ana'"
text = "Parabéns, {{ first_name }}!"
""")
    listed = {model["model"]: model["description"] for model in cli("models", "list", "--json").json["items"]}
    assert listed == {"cartao": "Parabéns por e-mail, um dia antes", "sms": "Parabéns por SMS, no próprio dia"}
    assert "Parabéns por SMS, no próprio dia" in cli("models", "list").out
    assert cli("run", "--now", BEFORE).code == 0
    assert cli("run", "--now", DAY).code == 0
    assert [list(mail.recipients) for mail in box.messages] == [["rui@example.com"]]
    assert texts(gateway) == [{"para": "+351910000001", "texto": "Parabéns, Ana!"}]
    assert cli("plan", "sms", "--html", "plano.html").code == 0
    assert "Parabéns por SMS, no próprio dia" in (home / "plano.html").read_text(encoding="utf-8")


@pytest.mark.req("IB-04")
def test_a_description_is_one_line(office: Callable[[str], Mailbox], cli: Cli) -> None:
    office('[models.cartao]\nuse = "birthday"\nsource = "crm"\ndescription = "a\\nb"\nsubject = "s"\ntext = "t"\n')
    done = cli("check")
    assert done.code == 78
    assert "description" in done.err


@pytest.mark.req("LX-22")
@pytest.mark.parametrize("when", ['at = "09:30"', "realtime = true"])
@pytest.mark.parametrize("channel", ["email", "sms"])
def test_a_welcome_goes_when_and_how_one_chooses(
    when: str, channel: str, office: Callable[[str], Mailbox], gateway: Service, cli: Cli, home: Path
) -> None:
    box = office(
        f"""
[models.boas-vindas]
use = "welcome"
source = "crm"
{when}
channel = "{channel}"
subject = "Bem-vindo"
text = "Bem-vindo à padaria, {{{{ first_name }}}}!"
"""
        if channel == "email"
        else f"""
[models.boas-vindas]
use = "welcome"
source = "crm"
{when}
channel = "{channel}"
text = "Bem-vindo à padaria, {{{{ first_name }}}}!"
"""
    )
    assert cli("run", "--now", BEFORE).code == 0
    people = home / "people.csv"
    people.write_text(
        PEOPLE + "3,Eva Reis,Eva,eva@example.com,+351910000003,1990-01-01,2026-12-24T08:30:00Z,active,person\n", encoding="utf-8"
    )
    assert cli("run", "--now", DAY).code == 0
    if channel == "email":
        assert sorted(mail.recipients[0] for mail in box.messages) == ["eva@example.com", "rui@example.com"] or [
            list(mail.recipients) for mail in box.messages
        ] == [["eva@example.com"]]
        assert "Bem-vindo à padaria, Eva!" in [body(mail) for mail in box.messages]
        assert not texts(gateway)
    else:
        assert "Bem-vindo à padaria, Eva!" in [text["texto"] for text in texts(gateway)]
        assert not box.messages


@pytest.mark.req("LX-04")
def test_several_applications_take_part_in_one_task(office: Callable[[str], Mailbox], gateway: Service, cli: Cli, home: Path) -> None:
    """The people come from one, those with an address get their word through a second, the others through a third."""
    box = office("""
[models.festa]
use = "birthday"
source = "crm"
at = "09:30"
channel = "email"
fallback = ["sms"]
subject = "Parabéns"
text = "Parabéns, {{ first_name }}!"
""")
    people = home / "people.csv"
    people.write_text(PEOPLE.replace("1975-12-25", "1975-12-24").replace("rui@example.com", ""), encoding="utf-8")
    cli("run", "--now", BEFORE)
    done = cli("run", "--now", DAY, "--json")
    assert done.code == 0
    assert [list(mail.recipients) for mail in box.messages] == [["ana@example.com"]]
    assert texts(gateway) == [{"para": "+351910000002", "texto": "Parabéns, Rui!"}]
    tasks = [task for task in cli("tasks", "list", "--json").json["items"] if task["state"] == "done"]
    assert [task["sent"] for task in tasks] == [2]


@pytest.mark.req("PR-32", "PR-33", "PR-34")
def test_an_e_mail_has_a_template_a_file_a_sender_and_copies(office: Callable[[str], Mailbox], cli: Cli, home: Path) -> None:
    (home / "corpo.html").write_text("<p>Olá <b>{{ first_name }}</b>, aqui vai o bolo.</p>", encoding="utf-8")
    (home / "vale.pdf").write_bytes(b"%PDF-1.4 vale")
    box = office("""
[models.vale]
use = "birthday"
source = "crm"
at = "09:30"
subject = "{{ first_name }}, um vale"
html_file = "corpo.html"
attachments = ["vale.pdf"]
sender = "Loja <loja@example.com>"
cc = ["chefe@example.com"]
bcc = ["arquivo@example.com"]
""")
    cli("run", "--now", BEFORE)
    done = cli("run", "--now", DAY)
    assert done.code == 0, done.err
    (mail,) = box.messages
    assert sorted(mail.recipients) == ["ana@example.com", "arquivo@example.com", "chefe@example.com"]
    message = mail.parsed()
    assert message["Subject"] == "Ana, um vale"
    assert message["From"].addresses[0].addr_spec == "loja@example.com"
    assert message["Cc"].addresses[0].addr_spec == "chefe@example.com"
    assert "arquivo@example.com" not in message.as_string()
    (file,) = message.iter_attachments()
    assert (file.get_filename(), file.get_payload(decode=True)) == ("vale.pdf", b"%PDF-1.4 vale")
    html = message.get_body(("html",))
    assert html is not None
    assert "<b>Ana</b>" in html.get_content()


@pytest.mark.req("PR-40")
def test_a_call_to_any_address_carries_headers_and_values(office: Callable[[str], Mailbox], gateway: Service, cli: Cli) -> None:
    office("""
[models.sms]
use = "birthday"
source = "crm"
channel = "sms"
at = "09:45"
text = "Parabéns, {{ first_name }}!"
""")
    cli("run", "--now", BEFORE)
    cli("run", "--now", DAY)
    (request,) = [each for each in gateway.requests if each.path == "/sms"]
    assert isinstance(request, Request)
    assert request.headers["x-loja"] == "padaria"
    assert json.loads(request.body) == {"para": "+351910000001", "texto": "Parabéns, Ana!"}


@pytest.mark.req("PR-02", "PR-03")
def test_a_configuration_is_checked_whole_before_it_acts_and_cancelled_if_it_is_not(
    office: Callable[[str], Mailbox], gateway: Service, cli: Cli, home: Path
) -> None:
    """Two people are due; a field of the text was renamed since: nobody gets half a message, the task says why, the other model works."""
    one = '\n[models.{}]\nuse = "birthday"\nsource = "crm"\nat = "09:30"\nsubject = "s"\ntext = "Olá {{{{ {} }}}}"\n'
    office(one.format("certo", "first_name") + one.format("errado", "first_name"))
    cli("run", "--now", BEFORE)
    box = office(one.format("certo", "first_name") + one.format("errado", "primeiro"))
    done = cli("run", "--now", DAY)
    assert done.code == 3
    assert "errado 2026-12-24T09:30: failed: unknown field 'primeiro'" in done.out
    assert [list(mail.recipients) for mail in box.messages] == [["ana@example.com"]]
    (task,) = [task for task in cli("tasks", "list", "--json").json["items"] if task["model"] == "errado"]
    assert task["state"] == "failed"
    assert "primeiro" in task["reason"]


@pytest.mark.req("LX-70")
def test_the_same_model_serves_a_business_that_keeps_its_customers_elsewhere(
    office: Callable[[str], Mailbox], gateway: Service, cli: Cli, home: Path
) -> None:
    """Another management software, with its own database and its own names for things: the model's table is word for word the same."""
    pytest.importorskip("libax_connector_sql", reason="the sql connector's package is not installed")
    model = """
[models.sms]
use = "birthday"
source = "crm"
channel = "sms"
at = "09:45"
text = "Parabéns, {{ first_name }}!"
"""
    office(model)
    path = home / "profiles.toml"
    text = path.read_text(encoding="utf-8")
    query = "SELECT codigo AS id, nome AS name, nome_curto AS first_name, telemovel AS mobile, nascimento AS birth_date FROM clientes"
    changed = text.replace(
        'connector = "csv"\ncontacts = "people.csv"', f'connector = "sql"\nurl = "sqlite:///erp.db"\ncontacts = "{query}"'
    )
    assert changed != text
    path.write_text(changed, encoding="utf-8")
    with closing(sqlite3.connect(home / "erp.db")) as erp, erp:
        erp.execute("CREATE TABLE clientes (codigo INTEGER PRIMARY KEY, nome TEXT, nome_curto TEXT, telemovel TEXT, nascimento DATE)")
        erp.execute("INSERT INTO clientes VALUES (71, 'Eva Reis', 'Eva', '+351910000071', '1990-12-24')")
        erp.execute("INSERT INTO clientes VALUES (72, 'Rui Costa', 'Rui', '+351910000072', '1990-12-25')")
    cli("run", "--now", BEFORE)
    done = cli("run", "--now", DAY)
    assert done.code == 0, done.err
    assert texts(gateway) == [{"para": "+351910000071", "texto": "Parabéns, Eva!"}]
