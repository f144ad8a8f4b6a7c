"""What the page says in numbers: rounding, intervals, verdicts on methods, charts."""

from __future__ import annotations

import math
import re

from lensjax.report import score_table
from lensjax.report.page import numbers, scores
from lensjax.report.page.filters import fraction, number
from lensjax.report.page.page import view_charts
from lensjax.report.page.render import render_part


def render_scores(rows: list) -> str:
    return render_part("scores.html.j2", scores=scores.view_scores(rows), is_events=False)


def render_charts(curves: dict) -> str:
    return render_part("charts.html.j2", charts=view_charts(curves))


def test_numbers_are_short_and_never_certain() -> None:
    assert [number(v) for v in (0.97314, 12345, 0.0, math.nan, 1234.5)] == [
        "0.973",
        "12\u202f345",
        "0.00",
        "–",
        "1234",
    ]
    assert [fraction(v) for v in (0.9999, 0.0001, 1.0, 0.0, math.nan)] == [
        "> 0.999",
        "< 0.001",
        "1.00",
        "0.00",
        "–",
    ]


def test_summary_joins_a_number_with_its_interval() -> None:
    flat = numbers.flatten_summary(
        {
            "auroc": 0.9,
            "auroc_low": 0.8,
            "auroc_high": 0.95,
            "test": {"f1": {"mean": 1.0, "low": 0.5, "high": 1.0}},
        }
    )
    assert flat == {"auroc": (0.9, 0.8, 0.95), "test.f1": (1.0, 0.5, 1.0)}
    run = {"auroc": 0.9, "auroc_low": None, "auroc_high": None, "confusion": [[1, 2], [3, 4]]}
    text = render_part("numbers.html.j2", numbers=numbers.view_numbers(run))
    assert "AUROC" in text and "[1, 2], [3, 4]" in text


def test_methods_are_judged_against_the_best_trivial_map() -> None:
    rows = [
        {"method": "occlusion", "energy": (0.6, 0.55, 0.65), "n": 9},
        {"method": "gradient", "energy": (0.4, 0.3, 0.5), "n": 9},
        {"method": "grad_cam", "energy": (0.1, 0.05, 0.15), "n": 9},
        {"method": "attention", "energy": (math.nan, math.nan, math.nan), "n": 0},
        {"method": "random", "energy": (0.2, 0.15, 0.25), "n": 9},
        {"method": "sobel", "energy": (0.45, 0.4, 0.5), "n": 9},
    ]
    text = render_scores(rows)
    body = re.findall(r"<tr.*?</tr>", text, re.S)[1:]
    assert [("▲" in r, "≈" in r, "▼" in r) for r in body[:3]] == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    assert "not defined" in body[3] and body[4].count("trivial") and body[4].count("▲") == 0
    assert "1 of 3 methods do better than every trivial map" in render_scores(rows)
    assert "of the best trivial map, Sobel edges." in render_scores(rows)
    assert score_table.chance_level(rows, "energy") == 0.2


def test_chance_is_a_level_and_a_distance_is_better_when_short() -> None:
    rows = [
        {
            "method": "occlusion(window=8)",
            "pointing": 0.5,
            "chance": 0.04,
            "centre_distance": (2.0, 1.5, 2.5),
        },
        {"method": "centre", "pointing": 0.1, "chance": 0.04, "centre_distance": (4.0, 3.0, 5.0)},
        {"method": "sobel", "pointing": 0.1, "chance": 0.04, "centre_distance": (9.0, 8.0, 9.5)},
    ]
    assert score_table.score_names(rows) == ["pointing", "centre_distance"]
    assert score_table.chance_level(rows, "pointing") == 0.04
    assert score_table.best_baseline(rows, "centre_distance") == ("centre", (4.0, 3.0, 5.0))
    assert render_scores(rows).count("▲</b>") == 3  # both scores, and the key
    assert "Best: Occlusion (window=8), " in render_scores(rows)


def test_history_draws_splits_together_and_skips_what_is_no_number() -> None:
    rows = [
        {
            "epoch": e,
            "train/loss": 1 / e,
            "validation/loss": 2 / e,
            "validation/confusion": [[1]],
            "validation/auroc": v,
        }
        for e, v in ((1, None), (2, 0.8), (3, float("nan")))
    ]
    text = render_charts({"history": rows})
    assert text.count("<figure") == 2 and "nan" not in text and text.count("k-train") == 1
    assert view_charts({}) == [] and view_charts({"history": []}) == []


def test_roc_states_its_area() -> None:
    rows = [{"fpr": f, "tpr": t} for f, t in ((0, 0), (0, 0.5), (0.001, 0.6), (1, 1))]
    text = render_charts({"roc": rows})
    assert "area 0.800" in text and "rare false positives" in text
