"""A template is what the row mapper makes of markers, cut at them; there is none where a text matters."""

from collections.abc import Callable, Mapping

import pytest

from pipeline.map import MappingRules
from pipeline.map.bind import RowMapper
from pipeline.map.by_columns.feeds import feeds_of
from pipeline.map.by_columns.learn import Learner
from pipeline.map.by_columns.template import MADE_NUMBER, Pieces, Refusal, Template
from pipeline.map.columns.wiring import wire
from pipeline.model import Export, Fault
from pipeline.tables.text_columns import column_of

Fields = Mapping[str, str | None]
Learn = Callable[..., Template | Refusal | None]


def gap(name: str) -> Pieces:
    return ("", name, "")


@pytest.fixture
def learn(rules: Callable[..., MappingRules]) -> Learn:
    """Learn what becomes of rows like one, with a gap for each text that decides nothing."""

    def learn(export: Export, fields: Fields, **how: Mapping[str, str]) -> Template | Refusal | None:
        job = rules(export, **how)
        wiring = wire(job, tuple(fields))
        rows = RowMapper(job, wiring)
        feeds = feeds_of(job, wiring, rows.conversions)
        gaps = [feed for feed in feeds if feed.column_reader and fields[feed.name] is not None]
        return Learner(job, rows).learn(tuple(fields.values()), gaps)

    return learn


def test_the_texts_of_an_order_are_gaps(learn: Learn, good: Mapping[Export, Fields]) -> None:
    """What a row says goes into the gaps; defaults, names and fixed texts stand around them."""
    assert learn(Export.ORDERS, good[Export.ORDERS]) == Template(
        body=(
            *('{"agreement_no":"', "agreement_no", '","amount_type_data":{"name":"', "amount_name"),
            *('","trade_info":{"amount":"', "trade_amount", '","trade_no":"', "trade_no"),
            *(
                '"}},"biz_action":"ORDER_PAID","biz_time":"',
                "biz_time",
                '","cumulate_data_type":"AMOUNT","out_biz_no":"',
            ),
            *("out_biz_no", '","partner_id":"', "partner_id"),
            *('","request_from":"ExternalMerchantSource","user_id":"', "user_id", '"}'),
        ),
        request_key=gap("out_biz_no"),
        identity=gap("out_biz_no"),
        lane=(("cumulation",), gap("agreement_no"), gap("user_id")),
        refund_of=None,
        points=None,
        version=None,
        made_of=(),
        key_is_derived=False,
        agreement=("user_id ", "agreement_no", ""),
    )


def test_a_made_number_is_a_gap_of_its_own(learn: Learn, good: Mapping[Export, Fields]) -> None:
    """The number of a balance is its brand and a digest of all that the row says."""
    card = (gap("card_id"), gap("openid"), gap("user_card_code"))
    template = learn(Export.POINTS, {**good[Export.POINTS], "updated_at": "2024-05-01 12:00:00"})

    assert isinstance(template, Template)
    assert (template.request_key, template.key_is_derived) == (("40001-", MADE_NUMBER, ""), True)
    assert template.made_of == (("40001",), *card, gap("point_balance"), gap("updated_at"))
    assert (template.points, template.version) == (gap("point_balance"), gap("updated_at"))
    assert template.lane == (("points",), ("40001",), gap("card_id"), gap("user_card_code"))


def test_a_state_is_known_by_its_object(learn: Learn, good: Mapping[Export, Fields]) -> None:
    """Where an identity is made of two texts, both are gaps of it."""
    template = learn(Export.STATES, good[Export.STATES])

    assert isinstance(template, Template)
    assert template.identity == ("", "out_biz_no", "\x1f", "out_principal_id", "")


def test_a_rule_about_what_is_there_is_broken_by_all_rows_that_are_alike(
    learn: Learn, good: Mapping[Export, Fields]
) -> None:
    """What is missing is missing whatever else the row says, and its key is told."""
    rule = "is missing: trade_no and trade_amount go together"

    assert learn(Export.ORDERS, {**good[Export.ORDERS], "trade_no": None}) == Refusal(
        (Fault("field_missing", f"trade_no {rule}", "trade_no", "trade_no", rule),), gap("out_biz_no")
    )


@pytest.mark.parametrize(
    ("export", "change"),
    [
        pytest.param(Export.TASKS, {"times": "2"}, id="several-payloads"),
        pytest.param(Export.ORDERS, {"pay_out_biz_no": "A-16"}, id="fault-that-tells-of-a-text"),
    ],
)
def test_nothing_is_learned_where_a_text_matters(
    learn: Learn, good: Mapping[Export, Fields], export: Export, change: Fields
) -> None:
    """Rows with several payloads, or with a fault that shows a text of theirs, are mapped by themselves."""
    assert learn(export, {**good[export], **change}) is None


def test_a_fixed_text_is_not_taken_for_a_marker(learn: Learn, good: Mapping[Export, Fields]) -> None:
    """Where a constant looks like a marker, nothing is learned rather than a gap where there is none."""
    fields = {name: text for name, text in good[Export.TASKS].items() if name != "task_name"}

    assert isinstance(learn(Export.TASKS, fields, constants={"task_name": "q003Z"}), Template)
    assert learn(Export.TASKS, fields, constants={"task_name": "q003Z7"}) is None


def test_a_template_is_filled_row_by_row(learn: Learn, good: Mapping[Export, Fields]) -> None:
    """Filled with the texts of two rows, a template gives the columns of both."""
    template = learn(Export.STATES, good[Export.STATES])
    assert isinstance(template, Template)
    texts = {name: column_of([f"{name}1", f"{name}2"]) for name in good[Export.STATES]}

    columns = template.render(texts, 2)

    assert columns["request_key"].to_pylist() == ["out_biz_no1", "out_biz_no2"]
    assert columns["identity"].to_pylist() == ["out_biz_no1\x1fout_principal_id1", "out_biz_no2\x1fout_principal_id2"]
    assert [body[:26] for body in columns["body"].to_pylist()] == [
        b'{"biz_data":"biz_data1","b',
        b'{"biz_data":"biz_data2","b',
    ]
