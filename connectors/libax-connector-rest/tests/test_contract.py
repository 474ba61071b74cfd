"""The promises of every source, in each way of turning pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from libax_connector_rest import Rest

from libax_automate.testing import Reply, SourceContract

ANA = {
    "id": 1,
    "fullName": "Ana Silva",
    "contact": {"mail": "ana@example.com"},
    "birthDate": "1980-12-24",
    "updatedAt": "2026-11-20T09:30:00Z",
}
RUI = {"id": 2, "fullName": "Rui Costa", "phones": [{"number": "+351912345678"}], "points": 7}
EVA = {"id": "e-3", "fullName": "Eva Dias"}
FIELDS = {"email": "contact.mail", "mobile": "phones.0.number", "changed_at": "updatedAt"}


class _Contract(SourceContract):
    __test__ = False
    source = Rest
    ids = ("1", "2", "e-3")
    empty = Reply(200, {"data": []})
    bad_row = Reply(200, {"data": [ANA, {"fullName": "Nobody"}, RUI]})
    checked = Reply(200, {"data": [ANA]})
    paging: dict[str, Any] = {}

    def options(self, url: str) -> dict[str, object]:
        return {
            "base_url": f"{url}/api", "auth": "bearer", "token": "s3cret-never-shown", "items": "data", **self.paging,
            "contacts": {"path": "/customers", "since": "updated_since", "fields": FIELDS},
        }  # fmt: skip


class TestNumberedPages(_Contract):
    __test__ = True
    paging = {"paging": "page", "size_param": "per_page", "page_size": 2}
    pages = (Reply(200, {"data": [ANA, RUI]}), Reply(200, {"data": [EVA]}))
    bad_row = None  # one page for ever is a loop here


class TestOffsetsWithATotal(_Contract):
    __test__ = True
    paging = {"paging": "offset", "total": "meta.total"}
    pages = (Reply(200, {"data": [ANA, RUI], "meta": {"total": 3}}), Reply(200, {"data": [EVA], "meta": {"total": 3}}))
    empty = Reply(200, {"data": [], "meta": {"total": 0}})
    bad_row = Reply(200, {"data": [ANA, {"fullName": "Nobody"}, RUI], "meta": {"total": 3}})
    checked = Reply(200, {"data": [ANA], "meta": {"total": 1}})


class TestCursors(_Contract):
    __test__ = True
    paging = {"paging": "cursor", "next": "meta.next"}
    pages = (Reply(200, {"data": [ANA, RUI], "meta": {"next": "c2"}}), Reply(200, {"data": [EVA], "meta": {"next": None}}))


class TestLinkHeaders(_Contract):
    __test__ = True
    paging = {"paging": "link"}

    def replies(self, url: str) -> Sequence[Reply]:
        link = f'<{url}/api/customers?page=1>; rel="prev", <{url}/api/customers?page=2&q=a,b>; title="a, b"; rel="last next"'
        return [Reply(200, {"data": [ANA, RUI]}, {"Link": link}), Reply(200, {"data": [EVA]})]


class TestUrlsInTheReply(_Contract):
    __test__ = True
    paging = {"paging": "next-url", "next": "links.next", "more": "more"}
    pages = (
        Reply(200, {"data": [ANA, RUI], "links": {"next": "/api/customers?token=2"}, "more": True}),
        Reply(200, {"data": [EVA], "links": {"next": "/api/customers?token=3"}, "more": False}),
    )


class TestAKeyInTheQuery(_Contract):
    __test__ = True
    pages = (Reply(200, {"data": [ANA, RUI, EVA]}),)

    def options(self, url: str) -> dict[str, object]:
        return {**super().options(url), "auth": "query", "sent_as": "key"}


class TestBasicAndAnotherHeader(_Contract):
    __test__ = True
    pages = (Reply(200, [ANA, RUI, EVA]),)
    empty = Reply(200, [])
    bad_row = Reply(200, [ANA, {"fullName": "Nobody"}, RUI])
    checked = Reply(200, [ANA])

    def options(self, url: str) -> dict[str, object]:
        return {
            "base_url": url, "auth": "basic", "username": "automate", "password": "s3cret-never-shown", "headers": {"X-Tenant-Key": "tenant-s3cret"},
            "contacts": {"path": "/customers", "since": {"changed_at": "updated_since"}, "fields": FIELDS},
        }  # fmt: skip
