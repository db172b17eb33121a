"""Claims print what was measured, stop what does not hold, and are counted by the commands."""

import json
import math

import numpy as np
import pytest
import torch

from mmteach import claims
from mmteach.claims import ClaimError, claim, made, pick, scale, seeds


@pytest.fixture(autouse=True)
def laptop(monkeypatch):
    monkeypatch.setenv("MMTEACH_SCALE", "laptop")
    for name in ("MMTEACH_CLAIMS", "MMTEACH_ENFORCE", "MMTEACH_SEED", "MMTEACH_DEVICE"):
        monkeypatch.delenv(name, raising=False)


def test_a_claim_that_holds_prints_its_sentence_figure_and_bound(capsys):
    claim("fusion.gain", 0.08333333, at_least=0.05, says="Two beat one")
    assert capsys.readouterr().out == "✓ Two beat one: 0.08333 (at least 0.05)\n"


def test_without_a_sentence_the_name_is_printed(capsys):
    claim("loss.low", 3, at_most=4)
    assert capsys.readouterr().out == "✓ loss.low: 3 (at most 4)\n"


@pytest.mark.parametrize(
    ("value", "bounds"),
    [
        (0.0499, {"at_least": 0.05}),
        (0.0501, {"at_most": 0.05}),
        (2.0, {"at_least": 0, "at_most": 1}),
        (-1.0, {"at_least": 0, "at_most": 1}),
        (math.nan, {"at_least": 0}),
        (math.nan, {"at_most": 0}),
        (math.inf, {"at_least": 0}),
    ],
)
def test_a_claim_that_does_not_hold_raises_with_what_was_measured(value, bounds, capsys):
    with pytest.raises(ClaimError, match=r"claim 'x\.y' does not hold\. ✗ It is so: "):
        claim("x.y", value, says="It is so", **bounds)
    assert capsys.readouterr().out.startswith("✗ It is so: ")  # printed as well, so that it stands in the notebook


@pytest.mark.parametrize("bounds", [{"at_least": 0.5}, {"at_most": 0.5}, {"at_least": 0.5, "at_most": 0.5}])
def test_a_value_on_its_bound_holds(bounds):
    claim("edge", 0.5, **bounds)


def test_every_seed_must_hold_and_the_deciding_one_is_printed(capsys):
    claim("a", at_least=0.05, every=[0.06, 0.1, 0.08])
    claim("b", at_most=0.5, every=(0.1, 0.3))
    claim("c", at_least=0, at_most=1, every=np.array([0.25, 0.75]))
    assert capsys.readouterr().out.splitlines() == [
        "✓ a: lowest 0.06, mean 0.08 of 3 seeds (at least 0.05)",
        "✓ b: highest 0.3, mean 0.2 of 2 seeds (at most 0.5)",
        "✓ c: lowest 0.25, highest 0.75, mean 0.5 of 2 seeds (at least 0; at most 1)",
    ]
    with pytest.raises(ClaimError, match=r"lowest 0\.04, mean 0\.2533 of 3 seeds"):
        claim("a", at_least=0.05, every=[0.06, 0.04, 0.66])


def test_a_long_claim_is_broken_between_words(capsys):
    claim("a", 0.125, at_least=0.05, says="word " * 20 + "end")
    assert capsys.readouterr().out == "✓ " + "word " * 20 + "end:\n  0.125 (at least 0.05)\n"


@pytest.mark.parametrize("values", [[1.0, math.nan], [math.nan, 1.0]])
def test_one_nan_among_the_seeds_fails_wherever_it_stands(values):
    with pytest.raises(ClaimError, match="lowest nan, mean nan of 2 seeds"):
        claim("a", at_least=0.05, every=values)


def test_at_smoke_a_claim_is_printed_and_never_enforced(monkeypatch, capsys):
    monkeypatch.setenv("MMTEACH_SCALE", "smoke")
    claim("a", 0.5, at_least=0.9)
    claim("a", 1.0, at_least=0.9)
    assert capsys.readouterr().out.splitlines() == [
        "✗ a: 0.5 (at least 0.9; not enforced at smoke)",
        "✓ a: 1 (at least 0.9; not enforced at smoke)",
    ]


def test_gpu_scale_enforces_and_verify_can_switch_that_off(monkeypatch):
    monkeypatch.setenv("MMTEACH_SCALE", "gpu")
    with pytest.raises(ClaimError):
        claim("a", 0, at_least=1)
    monkeypatch.setenv("MMTEACH_ENFORCE", "0")
    claim("a", 0, at_least=1)
    assert not made()[-1].holds and not made()[-1].enforced


def test_tensors_and_numpy_numbers_are_numbers(capsys):
    claim("t", torch.tensor(0.25, requires_grad=True), at_least=0)
    claim("n", np.float32(0.25), at_least=0)
    assert capsys.readouterr().out.count("0.25 (at least 0)") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"value": 1.0}, "needs a bound"),
        ({"at_least": 1}, "needs either a value or every="),
        ({"value": 1.0, "every": [1.0], "at_least": 1}, "needs either a value or every="),
        ({"value": 1.0, "at_least": 2, "at_most": 1}, "can never hold: at_least=2 is above at_most=1"),
        ({"value": 1.0, "at_least": math.nan, "at_most": 1}, "can never hold"),
        ({"every": [], "at_least": 1}, r"every=\[\] with no figure"),
    ],
)
def test_a_claim_that_cannot_be_judged_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        claim("x", **arguments)


@pytest.mark.parametrize("value", [[1, 2], torch.ones(2), "many", {}])
def test_what_is_not_a_number_is_refused(value):
    with pytest.raises(TypeError, match="claim 'x' needs a number, got "):
        claim("x", value, at_least=0)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (12.0, "12"), (999999.0, "999999"), (23_211_649, "23211649"), (1 / 3, "0.3333"), (1.25e-6, "1.25e-06")],
)
def test_figures_have_four_digits_and_whole_numbers_none(value, shown, capsys):
    claim("x", value, at_least=-1)
    assert capsys.readouterr().out == f"✓ x: {shown} (at least -1)\n"


def test_claims_are_recorded_in_the_process_and_in_a_file(tmp_path, monkeypatch, capsys):
    record = tmp_path / "claims.jsonl"
    monkeypatch.setenv("MMTEACH_CLAIMS", str(record))
    monkeypatch.setattr(claims, "_made", [])
    claim("a", 1, at_least=0, says="Größer")
    with pytest.raises(ClaimError):
        claim("b", at_most=1, every=[0.5, math.nan])
    assert [one.name for one in made()] == ["a", "b"]
    first, second = (json.loads(line) for line in record.read_text(encoding="utf-8").splitlines())
    assert first == {
        "name": "a", "says": "Größer", "values": [1.0], "at_least": 0, "at_most": None,
        "scale": "laptop", "enforced": True, "holds": True,
    }  # fmt: skip
    assert second["values"] == [0.5, "nan"] and second["holds"] is False


def test_scale_is_what_the_variable_says(monkeypatch):
    assert scale() == "laptop"
    monkeypatch.setenv("MMTEACH_SCALE", "huge")
    with pytest.raises(ValueError, match="MMTEACH_SCALE must be one of smoke, laptop, gpu, got 'huge'"):
        scale()


@pytest.mark.parametrize(("gpu", "expected"), [(True, "gpu"), (False, "laptop")])
def test_scale_without_the_variable_follows_the_machine(monkeypatch, gpu, expected):
    monkeypatch.delenv("MMTEACH_SCALE")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert scale() == expected
    monkeypatch.setenv("MMTEACH_DEVICE", "cpu")
    assert scale() == "laptop"
    monkeypatch.setenv("MMTEACH_DEVICE", "cuda:1")
    assert scale() == "gpu"


@pytest.mark.parametrize(("at", "expected"), [("smoke", 1), ("laptop", 2), ("gpu", 3)])
def test_pick_takes_the_setting_of_the_scale(monkeypatch, at, expected):
    monkeypatch.setenv("MMTEACH_SCALE", at)
    assert pick(smoke=1, laptop=2, gpu=3) == expected


def test_pick_without_a_gpu_setting_takes_the_laptops(monkeypatch):
    monkeypatch.setenv("MMTEACH_SCALE", "gpu")
    assert pick(smoke=1, laptop=2) == 2
    assert pick(smoke=1, laptop=2, gpu=0) == 0


def test_seeds_start_at_zero_and_one_variable_moves_them(monkeypatch):
    assert seeds(3) == [0, 1, 2]
    monkeypatch.setenv("MMTEACH_SEED", "1000")
    assert seeds(2) == [1000, 1001]
    assert seeds(1) == [1000]
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        seeds(0)
    monkeypatch.setenv("MMTEACH_SEED", "one")
    with pytest.raises(ValueError, match="MMTEACH_SEED must be a whole number, got 'one'"):
        seeds(1)
