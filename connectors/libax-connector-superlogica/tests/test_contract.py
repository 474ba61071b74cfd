"""The promises of an actor and of a source; see what each check wants in ``libax_automate.testing``."""

from libax_connector_superlogica import Superlogica

from libax_automate import AccountError, ContentError, RateLimited, RecipientError
from libax_automate.testing import ActionContract, Reply, SourceContract


def options(url: str) -> dict[str, object]:
    return {"app_token": "app-never-shown", "access_token": "access-never-shown", "base_url": url}


def done(**data: str) -> Reply:
    return Reply(200, [{"status": "200", "msg": "Sucesso", "data": data}])


def refused(msg: str, status: str = "500", http: int = 200) -> Reply:
    return Reply(http, [{"status": status, "msg": msg}])


BAD_TOKEN = Reply(500, {"status": 500, "msg": "The Client Id in the request, identified by HEADER app_token, is invalid"})


class TestWork(ActionContract):
    actor = Superlogica
    verdict_in_body = True
    text_field = "notes"
    actions = {
        "customer": {"name": "Ana Silva", "email": "ana@example.com", "due_day": 10},
        "customer-update": {"city": "Campinas"},
        "subscription": {"plan": "12", "start": "2026-12-01", "products": "7 x 2"},
        "subscription-cancel": {"on": "2026-12-24"},
        "charge": {"product": "7", "value": "123.00", "due": "2026-12-24"},
    }
    accepted = done(id_sacado_sac="371")
    receipt_id = "371"
    rejected = refused("Informe o nome")
    rejected_as = ContentError
    unauthorised = BAD_TOKEN
    refusals = (
        (Reply(200, BAD_TOKEN.body), AccountError),
        (Reply(401, {}), AccountError),
        (refused("Token inválido", "403"), AccountError),
        (refused("Cliente não encontrado", "404"), RecipientError),
        (refused("E-mail inválido", "400", 400), RecipientError),
        (refused("", "429"), RateLimited),
        (Reply(200, [{"status": "200", "msg": ""}, {"status": "400", "msg": "Valor inválido"}]), ContentError),
    )

    def options(self, url: str) -> dict[str, object]:
        return options(url)


def row(number: int, **more: object) -> dict[str, object]:
    return {
        "id_sacado_sac": str(number),
        "st_nome_sac": f"Pessoa {number}",
        "st_email_sac": f"p{number}@example.com",
        "st_cgc_sac": "000.000.000-00",
        "dt_cadastro_sac": "07/31/2019 10:20:30",
        "dt_nascimento_sac": "12/24/1980",
        **more,
    }


class TestCustomers(SourceContract):
    source = Superlogica
    pages = (Reply(200, [row(n) for n in range(1, 51)]), Reply(200, [row(51, dt_desativacao_sac="01/02/2020")]))
    ids = tuple(str(number) for number in range(1, 52))
    bad_row = Reply(200, [row(1), {"st_nome_sac": "?"}])
    empty = Reply(200, [])
    unauthorised = BAD_TOKEN

    def options(self, url: str) -> dict[str, object]:
        return options(url)


class TestCharges(SourceContract):
    source = Superlogica
    entity = "invoices"
    pages = (
        Reply(
            200,
            [
                {
                    "id_recebimento_recb": "9333",
                    "id_sacado_sac": "1",
                    "vl_emitido_recb": "59.00",
                    "vl_total_recb": "60.18",
                    "dt_vencimento_recb": "05/16/2019",
                }
            ],
        ),
    )
    ids = ("9333",)
    empty = Reply(200, [])
    unauthorised = BAD_TOKEN

    def options(self, url: str) -> dict[str, object]:
        return options(url)
