"""The folder sender writes whole files, once per send, and nowhere else."""

from __future__ import annotations

import email
import email.policy
import json
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from libax_automate.connector import Capability, Place
from libax_automate.errors import ConnectorError, ContentError, SetupError, Transient
from libax_automate.message import Call, Channel, Email, Message, Text
from libax_automate.plugins.folder import Folder, FolderOptions

KEY = "0b0b6a1c-8f6c-4a2b-9a43-1c7b3f1d2e3f"


def opened(tmp_path: Path, **options: Any) -> Folder:
    folder = Folder(FolderOptions(**({"path": "saida"} | options)), Place(folder=tmp_path))
    folder.open()
    return folder


def mail(**fields: Any) -> Email:
    return Email(
        **({"id": "M7", "key": KEY, "to": "ana@example.com", "person": "Ana Conceição", "subject": "Olá", "text": "Parabéns"} | fields)
    )


def names(tmp_path: Path) -> list[str]:
    return sorted(one.name for one in (tmp_path / "saida").iterdir())


def test_an_email_becomes_an_eml_that_mail_programs_open(tmp_path: Path) -> None:
    receipt = opened(tmp_path).send(mail(sent_at=datetime(2026, 11, 22, tzinfo=UTC)))
    assert names(tmp_path) == [receipt.id]
    assert receipt.id is not None
    assert receipt.id.startswith("M7_ana-conceicao_")
    back = email.message_from_bytes((tmp_path / "saida" / receipt.id).read_bytes(), policy=email.policy.default)
    assert (str(back["to"]), str(back["subject"]), str(back["from"])) == ("ana@example.com", "Olá", "noreply@localhost")


def test_other_messages_become_json_with_every_field(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    texted = folder.send(Text(id="M8", key="k8", to="+351912345678", channel=Channel.WHATSAPP, text="Olá é", vars=("a", "b")))
    called = folder.send(Call(id="M9", key="k9", to="https://example.com/", type="birthday.list", data={"items": [1]}))
    found = [json.loads((tmp_path / "saida" / str(receipt.id)).read_text("utf-8")) for receipt in (texted, called)]
    assert (found[0]["to"], found[0]["text"], found[0]["vars"], found[0]["channel"]) == ("+351912345678", "Olá é", ["a", "b"], "whatsapp")
    assert found[1]["data"] == {"items": [1]}


def test_the_same_send_writes_one_file_and_can_be_looked_up(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    assert folder.lookup(mail()) is None
    first = folder.send(mail())
    before = (tmp_path / "saida" / str(first.id)).stat().st_mtime_ns
    assert folder.send(mail(sent_at=datetime(2026, 11, 23, tzinfo=UTC))).id == first.id
    found = folder.lookup(mail())
    assert found is not None
    assert found.id == first.id
    assert (tmp_path / "saida" / str(first.id)).stat().st_mtime_ns == before
    assert folder.key_ttl() is not None
    # the same queue id from another database is another send
    assert folder.send(mail(key="other")).id != first.id


@pytest.mark.parametrize("person", ["../../etc/passwd", "/etc/passwd", "..", "a\\b", "", "x" * 300, "日本"])
def test_names_never_leave_the_folder(tmp_path: Path, person: str) -> None:
    folder = opened(tmp_path)
    for message in (mail(person=person), Text(id="../M", key="k", to="../x", person=person)):
        receipt = folder.send(message)
        assert (tmp_path / "saida" / str(receipt.id)).is_file()
        assert len(str(receipt.id)) < 200
    assert [one.name for one in tmp_path.iterdir()] == ["saida"]


def test_a_providers_template_is_written_for_people_to_read(tmp_path: Path) -> None:
    receipt = opened(tmp_path).send(mail(text="", template="12", params={"NOME": "Ana"}))
    content = (tmp_path / "saida" / str(receipt.id)).read_text()
    assert "[template 12]" in content
    assert "NOME = Ana" in content


def test_an_address_that_no_mail_can_carry_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    with pytest.raises(ContentError, match="not an e-mail address"):
        folder.send(mail(to="ana"))
    assert names(tmp_path) == []


def test_the_folder_is_its_owners_alone_and_check_leaves_nothing(tmp_path: Path) -> None:
    folder = opened(tmp_path, path="a/b")
    folder.check()
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    assert not list((tmp_path / "a" / "b").iterdir())


def test_a_path_that_cannot_be_a_folder_is_a_setup_error(tmp_path: Path) -> None:
    (tmp_path / "saida").write_text("a file")
    with pytest.raises(SetupError, match="saida cannot be written"):
        opened(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_apart_from_a_wrong_path(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    with pytest.raises(OSError) as full, Path("/dev/full").open("wb", buffering=0) as device:
        device.write(b"x")
    error: ConnectorError = folder._failure(full.value)
    assert isinstance(error, Transient)
    assert "No space left" in error.message


def test_a_write_that_fails_leaves_no_half_file(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    (tmp_path / "saida").rmdir()
    with pytest.raises(SetupError):
        folder.send(mail())
    assert not list(tmp_path.iterdir())


def test_many_threads_write_many_files(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    messages: list[Message] = [mail(id=f"M{number}", key=f"k{number}") for number in range(60)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(folder.send, messages))
    assert len(names(tmp_path)) == 60
    assert not [name for name in names(tmp_path) if name.startswith(".")]


def test_channels_narrow_what_it_offers(tmp_path: Path) -> None:
    offered = opened(tmp_path, channels=["sms"]).offers()
    assert Capability.SMS in offered
    assert not {Capability.EMAIL, Capability.WHATSAPP, Capability.WEBHOOK} & offered
    assert Capability.LOOKUP in offered
    with pytest.raises(ValidationError):
        FolderOptions(path="x", channels=["fax"])
