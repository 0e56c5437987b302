"""Names that people give to time zones, and the IANA name that is meant: never one whose clocks show another time."""

import re
from difflib import get_close_matches
from zoneinfo import ZoneInfo, available_timezones

from pipeline.settings.words import quoted

_SHANGHAI = "Asia/Shanghai"
# GMT+8, UTC+08:00, +0800, UTC8; and CST-8, as POSIX writes China's time.
_EIGHT_AHEAD = re.compile(r"(?:(?:etc/)?(?:gmt|utc)?\+?|cst-)0?8(?::?00)?(?:区|时区)?")
_OF_CHINA = re.compile(
    r"cst|.*(?:beijing|peking|shanghai|china|prc|hangzhou|guangzhou|shenzhen|nanjing|tianjin|chengdu|wuhan).*"
    r"|.*(?:北京|上海|中国|东八|东8|杭州|广州|深圳).*"
)
# Cities of China that are no zones, so that their misspelt names are not taken for another city's.
_CITIES_OF_CHINA = ("Asia/Beijing", "Asia/Peking", "Asia/Hangzhou", "Asia/Guangzhou", "Asia/Shenzhen")
_REVERSED = re.compile(r"Etc/GMT([+-])([1-9][0-9]*)")
# A misspelt city is nearer to its name than that of another city is.
_NEAR = 0.88


def suggested_zone(name: str) -> str:
    """Return the end of a fault: which zone was probably meant, or what the name of one looks like."""
    plain = re.sub(r"[\s_]", "", name).lower()
    if _EIGHT_AHEAD.fullmatch(plain) or _OF_CHINA.fullmatch(plain):
        return f"; for China's time write {_SHANGHAI}"
    meant = _near(name)
    if meant is not None:
        return f"; did you mean {quoted(meant)}?"
    return f"; write an IANA name, an area and a city, such as {_SHANGHAI} for UTC+8"


def reversed_offset(zone: ZoneInfo) -> str | None:
    """Return what the clocks of Etc/GMT+8 and its like show, whose names have the other sign; None for other zones."""
    match = _REVERSED.fullmatch(zone.key)
    return f"UTC{'-' if match[1] == '+' else '+'}{match[2]}" if match else None


def _near(name: str) -> str | None:
    """Return the zone whose name is misspelt; an offset or an abbreviation is near to many that are hours off."""
    if "/" not in name or re.search("[0-9]", name):
        return None
    zones = {zone.casefold(): zone for zone in available_timezones()}
    zones |= {city.casefold(): _SHANGHAI for city in _CITIES_OF_CHINA}
    matches = get_close_matches(name[:60].casefold(), zones, n=1, cutoff=_NEAR)
    return zones[matches[0]] if matches else None
