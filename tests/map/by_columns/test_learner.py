"""Templates, learned from a row of markers; there is none if a text matters."""

from collections.abc import Callable, Mapping

import pytest

from pipeline.map import MappingRules
from pipeline.map.bind import RowMapper
from pipeline.map.by_columns.feeds import feeds_of
from pipeline.map.by_columns.learner import Learner
from pipeline.map.by_columns.template import DERIVED_NUMBER, InvalidRows, Pieces, Template
from pipeline.map.columns.field_sources import find_sources
from pipeline.model import Export, Fault
from pipeline.tables.text_columns import column_of

Fields = Mapping[str, str | None]
Learn = Callable[..., Template | InvalidRows | None]


def gap(name: str) -> Pieces:
    return ("", name, "")


@pytest.fixture
def learn(rules: Callable[..., MappingRules]) -> Learn:
    """Learn the template of rows like this one, with a gap for each text that does not decide."""

    def learn(export: Export, fields: Fields, **how: Mapping[str, str]) -> Template | InvalidRows | None:
        job = rules(export, **how)
        sources = find_sources(job, tuple(fields))
        rows = RowMapper(job, sources)
        feeds = feeds_of(job, sources, rows.conversions)
        gaps = [feed for feed in feeds if feed.column_reader and fields[feed.name] is not None]
        return Learner(job, rows).learn(tuple(fields.values()), gaps)

    return learn


def test_the_texts_of_an_order_are_gaps(learn: Learn, good: Mapping[Export, Fields]) -> None:
    """The texts of a row are gaps; defaults, names and fixed texts are constants."""
    assert learn(Export.ORDERS, good[Export.ORDERS]) == Template(
        texts={
            "body": (
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
            "request_key": gap("out_biz_no"),
            "identity": gap("out_biz_no"),
            "agreement": gap("agreement_no"),
        },
        lane=(("cumulation",), gap("agreement_no"), gap("user_id")),
        made_of=(),
    )


def test_a_derived_number_is_a_gap_of_its_own(learn: Learn, good: Mapping[Export, Fields]) -> None:
    """The request number of a balance is its brand and a digest of the row."""
    card = (gap("card_id"), gap("openid"), gap("user_card_code"))
    template = learn(Export.POINTS, {**good[Export.POINTS], "updated_at": "2024-05-01 12:00:00"})

    assert isinstance(template, Template)
    assert template.texts["request_key"] == ("40001-", DERIVED_NUMBER, "")
    assert template.made_of == (("40001",), *card, gap("point_balance"), gap("updated_at"))
    assert (template.texts["points"], template.texts["version"]) == (gap("point_balance"), gap("updated_at"))
    assert template.lane == (("points",), ("40001",), gap("card_id"), gap("user_card_code"))


def test_a_state_is_identified_by_its_object(learn: Learn, good: Mapping[Export, Fields]) -> None:
    """An identity made of two texts has two gaps."""
    template = learn(Export.STATES, good[Export.STATES])

    assert isinstance(template, Template)
    assert template.texts["identity"] == ("", "out_biz_no", "\x1f", "out_principal_id", "")


def test_alike_rows_break_a_rule_of_presence_together(learn: Learn, good: Mapping[Export, Fields]) -> None:
    """A missing field is missing in all alike rows; each is refused under its own key."""
    rule = "is missing: trade_no and trade_amount go together"

    assert learn(Export.ORDERS, {**good[Export.ORDERS], "trade_no": None}) == InvalidRows(
        (Fault("field_missing", f"trade_no {rule}", "trade_no", "trade_no", rule),), gap("out_biz_no")
    )


@pytest.mark.parametrize(
    ("export", "change"),
    [
        pytest.param(Export.TASKS, {"times": "2"}, id="several-payloads"),
        pytest.param(Export.ORDERS, {"pay_out_biz_no": "A-16"}, id="fault-that-shows-a-text"),
    ],
)
def test_nothing_is_learned_if_a_text_matters(
    learn: Learn, good: Mapping[Export, Fields], export: Export, change: Fields
) -> None:
    """Rows with several payloads, or with a fault that shows their text, have no template."""
    assert learn(export, {**good[export], **change}) is None


def test_a_fixed_text_is_not_taken_for_a_marker(learn: Learn, good: Mapping[Export, Fields]) -> None:
    """If a constant looks like a marker, nothing is learned."""
    fields = {name: text for name, text in good[Export.TASKS].items() if name != "task_name"}

    assert isinstance(learn(Export.TASKS, fields, constants={"task_name": "q003Z"}), Template)
    assert learn(Export.TASKS, fields, constants={"task_name": "q003Z7"}) is None


def test_a_template_is_filled_row_by_row(learn: Learn, good: Mapping[Export, Fields]) -> None:
    """A template filled with the texts of two rows gives the payload columns of both."""
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
