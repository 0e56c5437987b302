"""WeChat Pay's API for brands on the platform's side (wechatpay-brand-points.md): as APIv3, for another caller."""

from collections.abc import Mapping

from pipeline.simulator.api import CallRule
from pipeline.simulator.apis import points
from pipeline.simulator.apis.fields import json_object, text
from pipeline.simulator.apis.wechatpay import Caller, WechatApi, cards_rule
from pipeline.simulator.faults.answer_signature import UniqueTexts
from pipeline.simulator.http.messages import Call
from pipeline.simulator.identities import Identities, PlatformKey
from pipeline.simulator.ruling import Api, Claim, Refusal

BRAND_CARDS_PATH = "/brand/card-member/user-cards"
BRAND_POINTS_PATH = "/brand/card-member/user-points/sync"


class BrandApi(WechatApi):
    """The points sync of a brand. It knows no platform certificates: one public key signs all answers."""

    wrong_serial = Refusal("INVALID_REQUEST", "Http头Wechatpay-Serial缺失或不属于该品牌")

    def __init__(self, identities: Identities, unique_texts: UniqueTexts) -> None:
        super().__init__(identities, unique_texts)
        self.rules: Mapping[Api, CallRule] = {Api.BRAND_POINTS: points.brand_rule, Api.USER_CARDS: cards_rule}

    def claim(self, call: Call) -> Claim:
        """Return brand id and `out_request_no`, as far as readable."""
        brand_id = (self._caller.items(call) or {}).get("brand_id", "")
        if call.path == BRAND_CARDS_PATH:
            return Claim(Api.USER_CARDS, brand_id)
        return Claim(Api.BRAND_POINTS, brand_id, text(json_object(call.body) or {}, "out_request_no"))

    def _caller_of(self, known: Identities) -> Caller:
        scheme = "WECHATPAY-BRAND-SHA256-RSA2048"
        return Caller(scheme, "brand_id", known.brand_id, known.brand_serial, known.brand_key)

    def _answering_key(self, call: Call) -> PlatformKey | None:
        key = self._identities.brand_public
        return key if call.headers.get("wechatpay-serial") == key.name else None
