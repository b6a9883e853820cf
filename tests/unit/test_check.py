"""compare says the truth in one line and raises with the first difference; numerical_gradient is a gradient."""

import numpy as np
import pytest
import torch

from cnnlib.check import compare, numerical_gradient, whose


def random(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def test_compare_prints_one_line_with_the_verdict_first_so_that_no_page_cuts_it_off(capsys):
    compare("ramp", np.full((2, 3), -6), [[-6] * 3] * 2)
    assert capsys.readouterr().out == "ramp: equal, largest difference 0, shape (2, 3), int64\n"


def test_compare_calls_close_floats_the_same_and_not_equal(capsys):
    compare("sum", np.array([0.1 + 0.2]), np.array([0.3]))
    assert capsys.readouterr().out == "sum: same, largest difference 5.55e-17, shape (1,), float64\n"


def test_compare_names_both_dtypes_when_they_differ(capsys):
    compare("x", random(2, 3).astype(np.float32), random(2, 3))
    assert capsys.readouterr().out.endswith(", float32 and float64\n")


def test_compare_checks_the_shape_before_the_values():
    with pytest.raises(AssertionError, match=r"^x: got shape \(3, 2\), want \(2, 3\)$"):
        compare("x", random(3, 2), random(2, 3))


@pytest.mark.parametrize("got", [np.zeros((1, 3)), np.float64(0.0), np.zeros((3, 1)), []])
def test_compare_does_not_broadcast(got):
    with pytest.raises(AssertionError, match="shape"):
        compare("x", got, np.zeros(3))


def test_compare_reports_the_first_difference_what_was_got_and_what_was_wanted():
    want = np.arange(6.0).reshape(2, 3)
    got = want.copy()
    got[0, 2], got[1, 1] = 2.5, 14.0
    message = r"^x: 2 of 6 values differ: at \[0, 2\] got 2.5, want 2.0; largest difference 10$"
    with pytest.raises(AssertionError, match=message):
        compare("x", got, want)


def test_compare_reports_scalars_without_a_place():
    with pytest.raises(AssertionError, match=r"^loss: got 2.0, want 3.0; largest difference 1$"):
        compare("loss", 2.0, 3.0)


def test_compare_prints_nothing_when_it_raises(capsys):
    with pytest.raises(AssertionError):
        compare("x", 1, 2)
    assert capsys.readouterr().out == ""


def test_compare_does_not_wrap_around_on_unsigned_integers():
    with pytest.raises(AssertionError, match="largest difference 255"):
        compare("x", np.array([0], np.uint8), np.array([255], np.uint8))


def test_compare_wants_integers_to_be_equal_even_when_they_are_large():
    with pytest.raises(AssertionError):
        compare("x", np.array([2**60 + 1]), np.array([2**60]))


@pytest.mark.parametrize(("dtype", "fine", "wrong"), [("float64", 1e-11, 1e-9), ("float32", 1e-6, 1e-4)])
def test_compare_follows_the_coarser_dtype(dtype, fine, wrong):
    want = np.ones(3)
    compare("fine", (want + fine).astype(dtype), want)
    with pytest.raises(AssertionError):
        compare("wrong", (want + wrong).astype(dtype), want)


def test_compare_takes_its_tolerances_as_given():
    compare("x", 1.0, 1.05, rtol=0.1)
    compare("x", 1.0, 1.05, atol=0.1)
    with pytest.raises(AssertionError):
        compare("x", 1.0, 1.0 + 1e-12, rtol=0, atol=0)


def test_compare_takes_nan_for_nan_only():
    compare("x", [np.nan, np.inf, 1.0], [np.nan, np.inf, 1.0])
    for got, want in [(np.nan, 1.0), (1.0, np.nan), (np.inf, -np.inf), (np.inf, 1.0)]:
        with pytest.raises(AssertionError):
            compare("x", got, want)


def test_compare_tells_whole_numbers_apart_that_are_one_float(capsys):
    compare("x", np.array([2**60 + 1]), np.array([2**60]), rtol=1e-3)
    assert capsys.readouterr().out.startswith("x: same, largest difference 1")


def test_compare_sees_imaginary_parts(capsys):
    compare("x", np.array([1 + 1e-12j]), np.array([1 + 0j]), atol=1e-10)
    assert capsys.readouterr().out.startswith("x: same, largest difference 1e-12")


@pytest.mark.parametrize("bad", ["three", None, [[1, 2], [3]], [None], ...])
def test_compare_wants_numbers_and_says_which_of_the_two_has_none(bad):
    with pytest.raises(ValueError, match=r"^got is .*\. Try"):
        compare("x", bad, 1.0)
    with pytest.raises(ValueError, match=r"^want is .*\. Try"):
        compare("x", 1.0, bad)


@pytest.mark.parametrize("bad", [-1e-3, "1e-3", np.nan, [0.1]])
@pytest.mark.parametrize("option", ["rtol", "atol"])
def test_compare_wants_tolerances_of_at_least_0(option, bad):
    with pytest.raises(ValueError, match=f"^{option} is .*want a number of at least 0. Try {option}=1e-6"):
        compare("x", 1.0, 1.0, **{option: bad})


def test_compare_rejects_zeros_for_anything_else():
    with pytest.raises(AssertionError):
        compare("x", np.zeros((4, 5)), random(4, 5))


def test_compare_takes_tensors_that_require_a_gradient(capsys):
    x = torch.tensor(random(2, 3), requires_grad=True)
    compare("x", x, random(2, 3))
    assert ": equal, largest difference 0, shape (2, 3), float64" in capsys.readouterr().out


def test_compare_allows_bfloat16_its_own_tolerance(capsys):
    x = torch.tensor(random(50, dtype=np.float32))
    compare("x", x.bfloat16(), x)
    assert "bfloat16 and float32" in capsys.readouterr().out
    with pytest.raises(AssertionError):
        compare("x", x.bfloat16().float(), x)


def test_numerical_gradient_of_a_square_is_twice_the_input():
    x = random(2, 3, 4)
    compare("gradient", numerical_gradient(lambda v: (v**2).sum(), x), 2 * x, rtol=1e-7, atol=1e-8)


def test_numerical_gradient_agrees_with_torch():
    x, a = random(3, 5), random(5, 2, seed=1)
    t = torch.tensor(x, requires_grad=True)
    torch.tanh(t @ torch.tensor(a)).square().sum().backward()
    got = numerical_gradient(lambda v: np.square(np.tanh(v @ a)).sum(), x)
    compare("gradient", got, t.grad, rtol=1e-7, atol=1e-8)


def test_numerical_gradient_is_central():
    # A one-sided difference of x**2 at 0 gives eps; a central one gives 0.
    assert numerical_gradient(lambda v: float(v**2), 0.0, eps=0.5) == 0.0


def test_numerical_gradient_leaves_its_input_alone_and_works_in_float64():
    x = random(4, dtype=np.float32)
    x.flags.writeable = False
    gradient = numerical_gradient(lambda v: (v**2).sum(), x)
    numerical_gradient(lambda v: (v**2).sum(), np.broadcast_to(1.0, (2, 3)))  # a read-only view in float64
    assert gradient.dtype == np.float64
    compare("gradient", gradient, 2.0 * x.astype(np.float64), rtol=1e-7, atol=1e-8)


def test_numerical_gradient_takes_integers_and_single_numbers():
    assert numerical_gradient(lambda v: 3 * v[0] - v[1], np.array([1, 2])) == pytest.approx([3, -1])
    assert numerical_gradient(lambda v: v, 2.0) == pytest.approx(1.0)


def test_whose_tells_the_library_from_the_reader(capsys):
    def mine():
        pass

    mine.__module__ = "__main__"  # as in a notebook
    whose(compare, mine, OSError)
    assert capsys.readouterr().out == "compare: from cnnlib.check\nmine: yours\nOSError: from builtins\n"


def test_whose_wants_functions_and_prints_nothing_for_an_array(capsys):
    with pytest.raises(ValueError, match=r"want a function or a class, not array\(\[1\.\]\)"):
        whose(compare, np.ones(1))
    assert capsys.readouterr().out == ""


def test_numerical_gradient_wants_one_number():
    with pytest.raises(ValueError, match=r"must return one number, got shape \(3,\)"):
        numerical_gradient(lambda v: v**2, np.ones(3))


@pytest.mark.parametrize("value", [None, "one", 1j, np.complex128(1j)])
def test_numerical_gradient_says_what_f_returned_instead_of_a_number(value):
    with pytest.raises(ValueError, match=r"^f.* (want numbers|one real number).*"):
        numerical_gradient(lambda v: value, np.ones(3))


@pytest.mark.parametrize("x", ["three", None, [[1, 2], [3]], np.array([1j])])
def test_numerical_gradient_wants_real_numbers(x):
    with pytest.raises(ValueError, match=r"^x (is|holds) .*Try"):
        numerical_gradient(lambda v: 0.0, x)


@pytest.mark.parametrize("eps", [0, -1e-6, "small", None, np.nan])
def test_numerical_gradient_wants_a_step_above_0_before_it_calls_f(eps):
    with pytest.raises(ValueError, match="eps"):
        numerical_gradient(lambda v: pytest.fail("called"), np.ones(3), eps=eps)
