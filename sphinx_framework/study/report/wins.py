"""On how many scenes one system is nearer to the truth than another: means may hide either."""

from sphinx_framework.study.report.dial import MEASURES, SMALLER_IS_BETTER
from sphinx_framework.study.report.summary import NOT_MEASURED, Rows

REMARK = (
    "Scenes on which a system is better than '{of}', and, in PSNR, how much it gains on its best "
    "and its worst scene."
)


def win_table(rows: Rows, of: str) -> list[list[str]]:
    """One line per other system: scenes won in every measure; gains in dB."""
    lines = [["system", *MEASURES.values(), "worst scene, dB", "best scene, dB"]]
    for name in rows:
        if name == of:
            continue
        counts = [_count(rows, name, of, key) for key in MEASURES]
        gains = [
            own["psnr"] - other["psnr"]
            for own, other in zip(rows[name], rows[of], strict=True)
            if "psnr" in own and "psnr" in other
        ]
        ends = [f"{end(gains):+.2f}" for end in (min, max)] if gains else [NOT_MEASURED] * 2
        lines.append([name, *counts, *ends])
    return lines


def _count(rows: Rows, name: str, of: str, key: str) -> str:
    pairs = [
        (own[key], other[key])
        for own, other in zip(rows[name], rows[of], strict=True)
        if key in own and key in other
    ]
    if not pairs:
        return NOT_MEASURED
    sign = -1 if key in SMALLER_IS_BETTER else 1
    better = sum(sign * own > sign * other for own, other in pairs)
    return f"{better} of {len(pairs)}"
