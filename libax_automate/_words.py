"""The words that sources use for fields and values, Portuguese and English, folded to lower-case ASCII."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_OTHER = re.compile(r"[^a-z0-9]+")


@lru_cache(maxsize=4096)
def snake(text: str) -> str:
    """``Código Postal`` → ``codigo_postal``, ``firstName`` → ``first_name``; "" where nothing readable is left."""
    plain = unicodedata.normalize("NFKD", _HUMP.sub("_", text)).encode("ascii", "ignore").decode()
    name = _OTHER.sub("_", plain.lower()).strip("_")
    return f"_{name}" if name[:1].isdigit() else name


def _table(text: str) -> dict[str, str]:
    """``field: word word …`` lines, turned round: word → field."""
    table = {}
    for line in text.strip().splitlines():
        field, _, words = line.partition(":")
        for word in words.split():
            table[word] = field.strip()
    return table


def _only(text: str, *fields: str) -> dict[str, str]:
    return {word: field for word, field in _table(text).items() if field in fields}


_PEOPLE = """
id: codigo cod code numero nr num no customer_id
id: cliente_id id_cliente codigo_cliente codigo_do_cliente cod_cliente numero_cliente no_cliente n_cliente
name: nome nome_completo full_name cliente nome_cliente nome_do_cliente customer customer_name designacao contact_name razao_social
first_name: primeiro_nome nome_proprio given_name forename firstname
last_name: apelido sobrenome ultimo_nome surname family_name lastname
email: e_mail mail correio_eletronico correio_electronico endereco_de_email endereco_de_e_mail email_address e_mail_address
mobile: telemovel telemovel_1 celular movel cell cellphone cell_phone
mobile: mobile_phone mobile_number telm tlm numero_de_telemovel no_telemovel whatsapp whats_app
phone: telefone tel telef telephone fone phone_number telefone_fixo
birth_date: data_de_nascimento data_nascimento nascimento birthdate birthday
birth_date: date_of_birth dob aniversario dt_nascimento data_nasc dt_nasc
person_type: tipo tipo_de_pessoa tipo_pessoa type tipo_de_cliente tipo_cliente tipo_de_entidade tipo_entidade
status: estado situacao ativo activo active
created_at: criado_em data_de_criacao data_criacao data_de_registo data_registo registo created
created_at: created_on data_de_cadastro data_cadastro cadastro creation_date cliente_desde customer_since
changed_at: alterado_em data_de_alteracao data_alteracao modificado_em atualizado_em updated updated_at modified_at last_modified
city: cidade localidade town municipio
region: regiao distrito uf province county state
country: pais
language: idioma lingua lang
partner: parceiro mediador angariador
company: empresa organizacao company_name
tax_id: nif nipc contribuinte no_contribuinte n_contribuinte numero_de_contribuinte nif_nipc
tax_id: cpf cnpj cpf_cnpj vat vat_id vat_number tax_number
consent: consentimento rgpd gdpr lgpd opt_in optin aceita_marketing
tags: etiquetas marcadores rotulos
groups: grupos grupo group segmentos
"""

_DOCUMENTS = """
id: codigo cod code invoice_id id_fatura fatura_id
number: numero nr no no_documento n_documento numero_documento documento
number: fatura factura invoice invoice_number no_fatura n_fatura numero_da_fatura
customer: cliente customer_id cliente_id id_cliente codigo_cliente cod_cliente no_cliente n_cliente contact contacto contato
amount: valor montante total valor_total
balance: saldo em_divida valor_em_divida divida outstanding por_pagar
currency: moeda divisa
issued: emissao data_de_emissao data_emissao data issue_date invoice_date date
due: vencimento data_de_vencimento data_vencimento due_date
status: estado situacao
paid_at: pago_em data_de_pagamento data_pagamento payment_date paid
changed_at: alterado_em data_de_alteracao data_alteracao modificado_em atualizado_em updated updated_at modified_at
slip_url: boleto link_boleto url_boleto
partner: parceiro mediador
"""

_DEALS = """
id: codigo cod code deal_id lead_id
title: titulo nome name negocio oportunidade assunto deal
pipeline: funil
stage: etapa fase estagio
status: estado situacao
amount: valor montante total
currency: moeda divisa
owner: responsavel vendedor comercial
contact: contacto contato cliente contact_id
company: empresa
region: regiao distrito uf
created_at: criado_em data_de_criacao data_criacao created
changed_at: alterado_em data_de_alteracao modificado_em atualizado_em updated updated_at
stage_changed_at: mudou_de_etapa_em data_da_etapa
close_date: data_de_fecho data_fecho fecho_previsto previsao_de_fecho data_de_fechamento previsao_de_fechamento expected_close
tags: etiquetas marcadores
"""

_CLAIMS = """
id: codigo cod code
number: numero no processo sinistro participacao
contact: contacto contato cliente segurado contact_id
type: tipo ramo
stage: etapa fase estado situacao
owner: responsavel gestor
policy: apolice
opened_at: aberto_em data_de_abertura data_abertura data_da_participacao
changed_at: alterado_em data_de_alteracao modificado_em atualizado_em updated updated_at
"""

_COMMISSIONS = """
id: codigo cod code
partner: parceiro mediador
contact: contacto contato cliente
document: documento fatura recibo
date: data
base: valor_base incidencia
rate: taxa percentagem
amount: valor comissao montante
currency: moeda divisa
"""

#: entity → folded heading → canonical field
HEADINGS: Mapping[str, Mapping[str, str]] = {
    "contacts": _table(_PEOPLE),
    "invoices": _table(_DOCUMENTS),
    "deals": _table(_DEALS),
    "leads": _table(_DEALS),
    "claims": _table(_CLAIMS),
    "partners": _only(_PEOPLE, "id", "name", "email", "mobile", "tax_id", "language"),
    "users": _only(_PEOPLE, "id", "name", "email", "mobile") | {"equipa": "team"},
    "commissions": _table(_COMMISSIONS),
}

_ENDS = """
open: aberto aberta em_aberto pendente por_pagar por_liquidar vencido vencida vencidas emitida overdue unpaid pending due issued
paid: pago paga liquidado liquidada recebido recebida settled closed
cancelled: anulado anulada cancelado cancelada canceled void voided estornado estornada
renegotiated: renegociado renegociada acordo
"""

_OUTCOMES = """
open: aberto aberta em_aberto em_curso em_andamento in_progress ongoing
won: ganho ganha ganhou vendido sold
lost: perdido perdida perdeu
"""

#: (entity, field) → folded word → the canonical word
CHOICES: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("contacts", "person_type"): _table("""
        person: p f s pf pessoa fisica pessoa_fisica singular pessoa_singular particular individual natural
        company: c e j pj empresa juridica pessoa_juridica
        company: coletiva colectiva pessoa_coletiva pessoa_colectiva organizacao sociedade business corporate
    """),
    ("contacts", "status"): _table("""
        active: a s y _1 ativo ativa activo activa sim yes true verdadeiro enabled
        inactive: i n _0 inativo inativa inactivo inactiva nao
        inactive: no false falso desativado desativada desactivado disabled bloqueado arquivado
    """),
    ("invoices", "status"): _table(_ENDS),
    ("deals", "status"): _table(_OUTCOMES),
    ("leads", "status"): _table(_OUTCOMES),
}
