"""
Suggestions for names that are no IANA time zones.

A suggestion never names a zone whose clocks show another time than the name given.
"""

import re
from difflib import get_close_matches
from zoneinfo import ZoneInfo, available_timezones

from pipeline.language import t
from pipeline.settings.wording import quoted

_SHANGHAI = "Asia/Shanghai"
# GMT+8, UTC+08:00, +0800, UTC8; and CST-8, as POSIX writes China's time.
_EIGHT_AHEAD = re.compile(r"(?:(?:etc/)?(?:gmt|utc)?\+?|cst-)0?8(?::?00)?(?:区|时区)?")
_OF_CHINA = re.compile(
    r"cst|.*(?:beijing|peking|shanghai|china|prc|hangzhou|guangzhou|shenzhen|nanjing|tianjin|chengdu|wuhan).*"
    r"|.*(?:北京|上海|中国|东八|东8|杭州|广州|深圳).*"
)
# Chinese cities without a zone of their own, so that a misspelt one is not matched to a zone elsewhere.
_CITIES_OF_CHINA = ("Asia/Beijing", "Asia/Peking", "Asia/Hangzhou", "Asia/Guangzhou", "Asia/Shenzhen")
_REVERSED = re.compile(r"Etc/GMT([+-])([1-9][0-9]*)")
# Cutoff of difflib: a misspelt name passes, the name of another city does not.
_NEAR = 0.88


def suggested_zone(name: str) -> str:
    """Return the end of a fault: the zone probably meant, or an example of an IANA name."""
    compact = re.sub(r"[\s_]", "", name).lower()
    if _EIGHT_AHEAD.fullmatch(compact) or _OF_CHINA.fullmatch(compact):
        return t("; for China's time write {shanghai}", shanghai=_SHANGHAI)
    meant = _near(name)
    if meant is not None:
        return t("; did you mean {meant}?", meant=quoted(meant))
    return t("; write an IANA name, an area and a city, such as {shanghai} for UTC+8", shanghai=_SHANGHAI)


def reversed_offset(zone: ZoneInfo) -> str | None:
    """Return the real offset of Etc/GMT+8 and its like, whose names have the other sign; None for other zones."""
    match = _REVERSED.fullmatch(zone.key)
    return f"UTC{'-' if match[1] == '+' else '+'}{match[2]}" if match else None


def _near(name: str) -> str | None:
    """Return the zone whose name is misspelt. Offsets and abbreviations resemble zones that are hours away."""
    if "/" not in name or re.search("[0-9]", name):
        return None
    zones = {zone.casefold(): zone for zone in available_timezones()}
    zones |= {city.casefold(): _SHANGHAI for city in _CITIES_OF_CHINA}
    matches = get_close_matches(name[:60].casefold(), zones, n=1, cutoff=_NEAR)
    return zones[matches[0]] if matches else None
