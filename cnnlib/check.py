"""Checks the course leans on: are these arrays the same, is this gradient right, and whose functions are at work?"""

import numbers
import reprlib

import numpy as np

TOLERANCE = {"float64": 1e-10, "float32": 1e-5, "float16": 1e-2, "bfloat16": 1e-2}  # relative and absolute


def compare(name, got, want, *, rtol=None, atol=None):
    """Print one line that says whether got equals want, and raise if it does not.

    got, want: arrays, tensors, numbers or lists of one shape, any dtype; they agree where
    |got - want| <= atol + rtol * |want|. Left out, rtol and atol follow the coarser dtype: 1e-10 for
    float64, 1e-5 for float32, 1e-2 for shorter floats, 0 if both hold integers. NaN equals NaN.
    Raises AssertionError with both shapes, or with the first difference, what was got and what was wanted;
    ValueError if got or want holds no numbers, or a tolerance is negative.
    Provided.
    """
    (got, got_type), (want, want_type) = _array("got", got), _array("want", want)
    _check_positive(rtol=rtol, atol=atol)
    if got.shape != want.shape:
        raise AssertionError(f"{name}: got shape {got.shape}, want {want.shape}")
    default = max(TOLERANCE.get(got_type, 0.0), TOLERANCE.get(want_type, 0.0))
    rtol, atol = default if rtol is None else rtol, default if atol is None else atol
    wrong = ~_close(got, want, rtol, atol)
    unequal = (got != want) & ~((got != got) & (want != want))
    gap = _largest_difference(got[unequal], want[unequal])
    if wrong.any():
        raise AssertionError(f"{name}: {_first_difference(got, want, wrong)}; largest difference {gap:.3g}")
    types = got_type if got_type == want_type else f"{got_type} and {want_type}"
    verdict = "same" if unequal.any() else "equal"
    print(f"{name}: {verdict}, largest difference {gap:.3g}, shape {got.shape}, {types}")


def numerical_gradient(f, x, *, eps=1e-6):
    """Slope of f along each entry of x, by central differences in float64.

    f: a function of an array like x that returns one number    x: any shape; it is copied, not changed
    Returns an array of the shape of x. eps is the step, in the units of x; the error is of order eps**2.
    Raises ValueError if f returns anything but one number, x holds no real numbers, or eps is not positive.
    Built in chapter 05.
    """
    _check_positive(eps=eps)
    x, name = _array("x", x)
    if x.dtype.kind == "c" or not eps:
        raise ValueError(f"x holds {name} and eps is {eps}: want real numbers and a step above 0. Try eps=1e-6")
    x = np.array(x, dtype=np.float64)
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        kept = x[i]
        x[i] = kept + eps
        above = _number(f(x))
        x[i] = kept - eps
        below = _number(f(x))
        x[i] = kept
        gradient[i] = (above - below) / (2 * eps)
    return gradient


def whose(*things):
    """Print for each function or class the module that it comes from, or "yours" if it was defined here.

    Raises ValueError for anything that has no name and module, such as an array.
    Provided.
    """
    for thing in things:
        if not hasattr(thing, "__name__") or not hasattr(thing, "__module__"):
            came = " ".join(reprlib.repr(thing).split())
            raise ValueError(f"want a function or a class, not {came}. Try its name without brackets")
    for thing in things:
        print(f"{thing.__name__}: {'yours' if thing.__module__ == '__main__' else f'from {thing.__module__}'}")


def _array(role, value):
    """Any array-like of numbers as a NumPy array, with the name of its dtype. A tensor is known by its `detach`."""
    name = None
    if hasattr(value, "detach"):
        name = str(value.dtype).removeprefix("torch.")
        value = value.detach().cpu()
        value = value.float() if name == "bfloat16" else value  # NumPy has no such type
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{role} is a list whose rows differ in length. Try rows of one length") from None
    if array.dtype.kind not in "biufc":
        came = " ".join(reprlib.repr(value).split())
        raise ValueError(f"{role} is {came}, want numbers. Try an array, a tensor or a list of them")
    return array, name or array.dtype.name


def _check_positive(**options):
    for name, value in options.items():
        if value is not None and not (isinstance(value, numbers.Real) and value >= 0):
            raise ValueError(f"{name} is {reprlib.repr(value)}, want a number of at least 0. Try {name}=1e-6")


def _close(got, want, rtol, atol):
    if rtol == atol == 0:
        return (got == want) | ((got != got) & (want != want))
    return np.isclose(got, want, rtol=rtol, atol=atol, equal_nan=True)


def _largest_difference(got, want):
    """In long floats, which tell large whole numbers apart and do not wrap around."""
    wide = np.result_type(got, want, np.longdouble)
    return float(np.max(np.abs(got.astype(wide) - want.astype(wide)), initial=0))


def _first_difference(got, want, wrong):
    i = tuple(int(k) for k in np.argwhere(wrong)[0])
    where = f"at {list(i)} " if i else ""
    count = f"{wrong.sum()} of {wrong.size} values differ: " if wrong.size > 1 else ""
    return f"{count}{where}got {got[i]}, want {want[i]}"


def _number(value):
    if np.shape(value) != ():
        raise ValueError(f"f must return one number, got shape {np.shape(value)}; did you forget to sum?")
    if _array("f's result", value)[0].dtype.kind == "c":
        raise ValueError(f"f must return one real number, got {value}; did you mean np.abs of it?")
    return float(value)
