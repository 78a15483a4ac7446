"""The generator and the recipes against numbers recorded from PyTorch 2.13 on a CPU."""

from __future__ import annotations

import copy
import pickle
import threading
import zlib

import ml_dtypes
import numpy as np
import pytest

from flambeau.core import box_muller, random_recipes, random_samplers
from flambeau.core import generator as generators
from flambeau.core.generator import Generator
from flambeau.core.random_recipes import bernoulli, fill, normal, randint, randperm, uniform

BOOL, U8, I32, I64 = (np.dtype(t) for t in ("?", "u1", "i4", "i8"))
F16, F32, F64, C64 = (np.dtype(t) for t in ("f2", "f4", "f8", "c8"))
BF16 = np.dtype(ml_dtypes.bfloat16)
WEIGHTS = np.arange(27, dtype=F32)

# Expression, outputs taken of the last twist, CRC-32 of the bytes, and the first, the middle and
# the last element; seed 42. Without a CRC the C library's log, cos, ... leave room for a last bit.
GOLDEN = [
    (
        "uniform(g, 1000, F32)",
        376, 3579030519, [0.8822692632675171, 0.3789175748825073, 0.02965700626373291],
    ),
    (
        "uniform(g, 1000, F32, -2.3, 5.1)",
        376, 1833216196, [4.228792190551758, 0.5039899349212646, -2.080538034439087],
    ),
    (
        "uniform(g, 1000, F64)",
        128, 756739536, [0.05815448596142969, 0.8351998483257075, 0.4198258024695729],
    ),
    (
        "uniform(g, 1000, F64, -2.3, 5.1)",
        128, 3268068840, [-1.8696568038854202, 3.8804788776102352, 0.8067109382748394],
    ),
    ("uniform(g, 1000, F16)", 376, 3533173035, [0.88232421875, 0.37890625, 0.0296630859375]),
    ("uniform(g, 1000, F16, -2.3, 5.1)", 376, 1479094326, [4.23046875, 0.50390625, -2.080078125]),
    ("uniform(g, 1000, BF16)", 376, 2232427102, [0.8828125, 0.37890625, 0.0296630859375]),
    ("uniform(g, 1000, BF16, -2.3, 5.1)", 376, 155012448, [4.21875, 0.50390625, -2.078125]),
    (
        "uniform(g, (3, 7), C64)",
        42, 2690285150,
        [(0.8822692632675171+0.9150039553642273j), (0.26963168382644653+0.4413635730743408j),
         (0.634341835975647+0.36441028118133545j)],
    ),
    (
        "normal(g, 15, F32)",
        32, None, [0.33669036626815796, -0.637997031211853, -0.9889599084854126],
    ),
    (
        "normal(g, 16, F32)",
        16, 2280516957, [1.9269152879714966, -0.7521352767944336, 0.7624453902244568],
    ),
    (
        "normal(g, 17, F32)",
        33, 3363100665, [1.9269152879714966, 0.3558599054813385, -0.3097267746925354],
    ),
    (
        "normal(g, 1000, F32)",
        392, 2288653614, [1.9269152879714966, -0.7525874376296997, -0.8534544110298157],
    ),
    (
        "normal(g, 40001, F32)",
        81, 2876947882, [1.9269152879714966, 1.445921540260315, -0.8350266218185425],
    ),
    (
        "normal(g, 1000, F32, 1.3, 2.7)",
        392, 821375735, [6.502671241760254, -0.7319861650466919, -1.0043269395828247],
    ),
    (
        "normal(g, 1000, F32, 0.0, 2.7)",
        392, 3675171168, [5.202671527862549, -2.0319862365722656, -2.3043270111083984],
    ),
    (
        "normal(g, 20, F32, 1.3, 2.7, False)",
        40, None, [2.20906400680542, 2.7442426681518555, -0.726680338382721],
    ),
    ("normal(g, 1001, F16)", 384, 3917045547, [1.9267578125, -0.75244140625, 0.2269287109375]),
    ("normal(g, 1001, BF16)", 384, 3430301423, [1.9296875, -0.75390625, 0.2265625]),
    ("normal(g, 9, F64)", 20, None, [0.33669035438385886, -1.1228563767381703, 0.4616572216317842]),
    (
        "normal(g, 1001, F64)",
        162, None, [0.2995562877502637, 0.6965634921004461, -0.7987154250978998],
    ),
    (
        "normal(g, 33, F64, 1.3, 2.7)",
        98, None, [2.108801976925712, 2.4372426857080303, -4.075102249614472],
    ),
    (
        "normal(g, 7, C64)",
        28, None,
        [(0.23807603120803833+0.09108200669288635j), (1.5614341497421265-0.45113205909729004j),
         (0.7850937843322754-1.1948682069778442j)],
    ),
    (
        "normal(g, 9, C64)",
        34, 2121768706,
        [(1.3625348806381226+1.051668643951416j), (0.251630961894989-0.4855157434940338j),
         (-0.2190099060535431-0.2798095643520355j)],
    ),
    (
        "normal_of(g, np.arange(1, 6, dtype=F32), np.arange(5, 0, -1, dtype=F32))",
        12, None, [2.6834518909454346, 3.7033870220184326, 3.877143621444702],
    ),
    ("log_normal(g, 21, F32)", 44, None, [5.330157279968262, 7.923312664031982, 40.6539306640625]),
    (
        "exponential(g, 100, F32, 1.5)",
        200, None, [0.039942678064107895, 0.8236870765686035, 2.173917531967163],
    ),
    (
        "cauchy(g, 100, F64, 1.3, 2.2)",
        200, None, [-10.60747205339409, 2.9989744235671867, 19.46955709030521],
    ),
    ("geometric(g, 100, I64, 0.3)", 200, 1667802056, [8, 1, 1]),
    (
        "random(g, 1000, I64)",
        128, 1425370434, [6909045637428952499, 3655438509621500862, 8227354374233650672],
    ),
    ("random(g, 1000, I32)", 376, 3470258776, [1608637542, 1264648382, 1946654618]),
    ("random(g, 1000, U8)", 376, 2165061042, [102, 190, 154]),
    ("random(g, 1000, BOOL)", 376, 393859649, [False, False, False]),
    ("random(g, 1000, F16)", 376, 362017440, [426.0, 1484.0, 119.0]),
    ("random(g, 1000, BF16)", 376, 3052919043, [12.0, 212.0, 151.0]),
    ("random(g, 1000, F32)", 376, 4278563834, [14801927.0, 6357107.0, 497446.0]),
    (
        "random(g, 1000, F64)",
        128, 2165709358, [523809042610868.0, 7522811451397673.0, 3781454655124063.0],
    ),
    ("randint(g, 1000, I64, 0, 27)", 376, 1844005216, [6, 26, 5]),
    ("randint(g, 1000, I64, -5, 5)", 376, 3694648888, [-3, -3, 3]),
    ("randint(g, 1000, I64, 0, 2**28 - 1)", 376, 2393771723, [266460267, 190906562, 67606433]),
    ("randint(g, 1000, I64, 0, 2**28)", 128, 3211579570, [199900595, 138795966, 91485680]),
    (
        "randint(g, 1000, I64, 0, 2**40)",
        128, 4096919035, [441507790259, 1052405783486, 234167203312],
    ),
    (
        "randint(g, 1000, I64, 3, None)",
        128, 1923337859, [6909045637428952502, 3655438509621500868, 8227354374233650675],
    ),
    (
        "randint(g, 1000, I64, -(2**63), None)",
        128, 3620969778, [6909045637428952499, -5567933527233274946, 8227354374233650672],
    ),
    ("randint(g, 1000, F16, 0, 65504)", 376, 3154292580, [55968.0, 56704.0, 41120.0]),
    ("randperm(g, 10)", 9, 2114975873, [2, 5, 7]),
    ("randperm(g, 1000)", 375, 441664704, [542, 882, 455]),
    ("randperm(g, 5000)", 7, 1877476725, [2542, 4113, 4604]),
    ("bernoulli(g, 1000, F32, 0.3)", 128, 1913396646, [1.0, 0.0, 0.0]),
    ("bernoulli(g, 40, U8, np.full(40, 0.3, F32))", 40, 1113863502, [0, 1, 0]),
    ("bernoulli(g, 40, F64, np.full(40, 0.3))", 80, 2099148250, [1.0, 1.0, 0.0]),
    (
        "dropout_noise(g, 1000, F32, 0.4)",
        128, 427641899, [1.6666666269302368, 0.0, 1.6666666269302368],
    ),
    (
        "sum(alpha_dropout_noise(g, 50, F32, 0.4))",
        100, 3425479722, [1.4703772068023682, 1.4703772068023682, 1.4703772068023682],
    ),
    ("multinomial(g, WEIGHTS, 50, True)", 100, 3308259183, [6, 5, 20]),
    ("multinomial(g, WEIGHTS.reshape(3, 9), 5, True)", 30, 3427856223, [2, 8, 3]),
    ("multinomial(g, WEIGHTS, 20)", 54, 2147419302, [24, 19, 26]),
    ("multinomial(g, WEIGHTS, 1, True)", 54, 3397187063, [24, 24, 24]),
    ("multinomial(g, WEIGHTS.astype(BF16).reshape(3, 9), 1)", 54, 1247414124, [8, 7, 6]),
    ("poisson(g, WEIGHTS)", 166, 3215477140, [0.0, 13.0, 26.0]),
    ("binomial(g, 4 * WEIGHTS, WEIGHTS / F32.type(27))", 152, 3612826892, [0.0, 29.0, 103.0]),
    (
        "standard_gamma(g, WEIGHTS / 9)",
        120, None, [1.1754943508222875e-38, 1.2574468851089478, 4.418702602386475],
    ),
    (
        "dirichlet(g, 1 + WEIGHTS.reshape(3, 9))",
        110, None, [0.021127896383404732, 0.09841420501470566, 0.1554460972547531],
    ),
]  # fmt: skip
NAMES = {**vars(random_recipes), **vars(random_samplers), **globals()}


@pytest.mark.filterwarnings("ignore:to - 1 is out of bounds")
@pytest.mark.parametrize("expression, taken, crc, some", GOLDEN, ids=[case[0] for case in GOLDEN])
def test_numbers_are_pytorchs(expression, taken, crc, some):
    g = Generator().manual_seed(42)
    got = eval(expression, {**NAMES, "g": g})
    flat = got.reshape(-1)
    picked = flat[[0, flat.size // 2, -1]]
    if crc is None:
        real = F64 if got.dtype in (F64, np.dtype("c16")) else F32
        np.testing.assert_allclose(picked, some, rtol=4 * np.finfo(real).eps)
    else:
        assert picked.tolist() == some
        assert zlib.crc32(np.ascontiguousarray(got).tobytes()) == crc
    assert int(g.get_state_array()[16:24].view(np.uint64)[0]) == taken


def test_pair_of_normal_numbers_is_kept_across_calls():
    whole = normal(Generator().manual_seed(3), 8, F64)
    g = Generator().manual_seed(3)
    parts = [normal(g, 3, F64), normal(g, 1, F64), normal(g, 0, F64), normal(g, (2, 2), F64)]
    assert np.concatenate([part.reshape(-1) for part in parts]).tolist() == whole.tolist()
    normal(g, 1, F32)
    assert g.normal is not None
    g.manual_seed(3)
    assert g.normal is None


def test_state_is_pytorchs_to_the_byte():
    g = Generator()
    assert g.initial_seed() == 67280421310721
    assert zlib.crc32(g.get_state_array().tobytes()) == 3499555337
    g.manual_seed(42)
    crcs = []
    for draw in (lambda: None, lambda: normal(g, 3, F32), lambda: uniform(g, 700, F32)):
        draw()
        crcs.append(zlib.crc32(g.get_state_array().tobytes()))
    assert crcs == [3998256470, 3704216401, 2418750012]


@pytest.mark.parametrize("taken", [0, 1, 3, 623, 624, 625, 1248, 1300])
def test_state_comes_back(taken):
    g = Generator().manual_seed(7)
    normal(g, 3, F32)
    g.words(max(taken - 8, 0))
    state = g.get_state_array()
    twins = [g.clone_state(), pickle.loads(pickle.dumps(g)), copy.deepcopy(g)]
    want = [normal(g, 5, F64).tolist(), uniform(g, 2000, F32).tolist()]
    twins.append(g)
    g.set_state_array(state)
    assert g.get_state_array().tolist() == state.tolist()
    for twin in twins:
        assert [normal(twin, 5, F64).tolist(), uniform(twin, 2000, F32).tolist()] == want


def test_state_that_is_none_is_refused():
    g = Generator().manual_seed(1)
    state = g.get_state_array()
    with pytest.raises(TypeError, match="RNG state must be a torch.ByteTensor"):
        g.set_state_array(state.astype(F32))
    with pytest.raises(TypeError, match="RNG state must be a torch.ByteTensor"):
        g.set_state_array([1])
    with pytest.raises(RuntimeError, match="of size 5056 but found .* 10"):
        g.set_state_array(state[:10])
    for at, value in ((8, 0), (9, 9), (12, 0), (16, 99), (18, 9)):
        bad = state.copy()
        bad[at] = value
        if at != 16:  # left is 1: what next says does not matter
            with pytest.raises(RuntimeError, match="Invalid mt19937 state"):
                g.set_state_array(bad)
    with pytest.raises(RuntimeError, match="does not use offset"):
        g.get_offset()
    with pytest.raises(RuntimeError, match="cuda"):
        Generator("cuda")


@pytest.mark.parametrize(
    "seed, kept, numbers",
    [
        (0, 0, [209652404, 130329144]),
        (1, 1, [180483115, 256344314]),
        (2**32, 2**32, [209652404, 130329144]),
        (-1, 2**64 - 1, [150890916, 210911523]),
        (-(2**63), 2**63, [209652404, 130329144]),
    ],
)
def test_seeds(seed, kept, numbers):
    g = Generator()
    assert g.manual_seed(seed) is g
    assert g.initial_seed() == kept
    assert randint(g, 2, I64, 0, 2**28 - 1).tolist() == numbers


def test_seeds_that_are_none():
    for seed in (2**64, -(2**63) - 1):
        with pytest.raises(ValueError, match="Overflow when unpacking long long"):
            Generator().manual_seed(seed)
    for seed in (3.5, True, "3", None):
        with pytest.raises(RuntimeError, match="manual_seed expected a long, but got"):
            Generator().manual_seed(seed)


def test_default_generator():
    state = generators.default_generator.get_state_array()
    try:
        first, second = generators.seed(), generators.seed()
        assert first != second
        assert generators.initial_seed() == second
        assert generators.manual_seed(3.7) is generators.default_generator
        assert generators.initial_seed() == 3
    finally:
        generators.default_generator.set_state_array(state)


def test_words_come_in_order_whatever_the_pieces():
    want = np.random.RandomState(5).randint(0, 2**32, 30000, dtype=np.uint32)
    g = Generator().manual_seed(5)
    sizes = [0, 1, 622, 1, 1, 623, 624, 625, 5, 10000, 3, 1248, 12000]
    got = np.concatenate([g.words(size).copy() for size in sizes])
    assert got.tolist() == want[: len(got)].tolist()


def test_threads_never_get_the_same_words():
    g = Generator().manual_seed(9)
    taken = []

    def draw():
        for _ in range(300):
            taken.append(g.words(7).copy())

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    want = Generator().manual_seed(9).words(4 * 300 * 7)
    assert sorted(np.concatenate(taken).tolist()) == sorted(want.tolist())


@pytest.mark.parametrize("n", [2, 3, 10, 1999, 2000, 2001, 12345])
def test_permutations_are_those_of_successive_exchanges(n):
    offsets = np.random.RandomState(n).randint(0, 2**31, n - 1) % np.arange(n, 1, -1)
    order = list(range(n))
    for i, offset in enumerate(offsets):
        order[i], order[i + offset] = order[i + offset], order[i]
    assert random_recipes._fisher_yates(offsets).tolist() == order


@pytest.mark.parametrize("dtype", [F32, F64, F16, BF16, C64])
def test_empty_and_0d(dtype):
    g = Generator().manual_seed(1)
    before = g.get_state_array().tolist()
    for shape in (0, (0,), (3, 0, 2)):
        assert uniform(g, shape, dtype).size == normal(g, shape, dtype).size == 0
    assert g.get_state_array().tolist() == before
    assert uniform(g, (), dtype).shape == normal(g, (), dtype).shape == ()
    zero, one = np.zeros((), F32), np.ones((), F32)
    for scalar in (
        bernoulli(g, (), F32, one),
        bernoulli(g, (), BF16, 1.0),
        randint(g, (), I64, -3, 3),
        random_recipes.random(g, (), I64),
        random_recipes.normal_of(g, zero, 1.0),
        random_recipes.normal_of(g, 0.0, one),
        random_recipes.normal_of(g, zero, one),
        random_recipes.exponential(g, (), F32),
        random_recipes.log_normal(g, (), F32),
        random_recipes.dropout_noise(g, (), F32, 0.5),
        *random_recipes.alpha_dropout_noise(g, (), F16, 0.5),
        random_samplers.poisson(g, one),
        random_samplers.binomial(g, one, one),
        random_samplers.standard_gamma(g, one),
    ):
        assert isinstance(scalar, np.ndarray) and scalar.shape == ()


def test_uniform_never_gives_the_upper_bound():
    for dtype in (F16, BF16):
        numbers = uniform(Generator().manual_seed(2), 100000, dtype).astype(F32)
        assert numbers.max() < 1
        assert numbers.min() == 0


def test_normal_has_its_moments_and_no_nan():
    numbers = normal(Generator().manual_seed(4), 1 << 18, F32, 2.0, 3.0)
    assert np.isfinite(numbers).all()
    assert abs(numbers.mean() - 2) < 0.02
    assert abs(numbers.std() - 3) < 0.02
    assert normal(Generator(), 40, F32, 5.0, 0.0).tolist() == [5.0] * 40


def test_float32_logarithm_and_circle_are_accurate():
    """What PyTorch's polynomials promise: an error of at most 2 units in the last place."""
    u = np.concatenate([np.arange(1, 5000), np.linspace(5000, 2**24, 20000).round()]) * 2.0**-24
    u = u.astype(F32)
    log = box_muller._log(u)
    np.testing.assert_allclose(log, np.log(u.astype(F64)), rtol=3e-7)
    angle = (u * F32.type(2 * np.pi)).astype(F32)
    circle = box_muller._cos_sin(angle)
    wide = angle.astype(F64)
    np.testing.assert_allclose(circle, [np.cos(wide), np.sin(wide)], atol=2e-7)


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.empty((6, 7)).T,
        lambda: np.empty((4, 5, 6)).transpose(2, 0, 1),
        lambda: np.empty((4, 10))[:, ::2],
        lambda: np.empty((3, 1, 4)).swapaxes(0, 1),
    ],
)
def test_fill_follows_the_strides(make):
    target = make()
    values = np.arange(target.size, dtype=F64)
    assert fill(target, values) is target
    offsets = sum(
        index * stride for index, stride in zip(np.indices(target.shape), target.strides)
    ).reshape(-1)
    assert target.reshape(-1)[offsets.argsort(kind="stable")].tolist() == values.tolist()


def test_samplers_give_back_what_they_did_not_use():
    a, b = Generator().manual_seed(6), Generator().manual_seed(6)
    rates = np.full(700, 0.5)
    random_samplers.poisson(a, rates)
    for rate in rates:
        random_samplers.poisson(b, rate.reshape(1))
    assert a.get_state_array().tolist() == b.get_state_array().tolist()


ERRORS = [
    (lambda g: uniform(g, 3, F32, 2.0, 1.0), RuntimeError, r"from=2 > to=1"),
    (lambda g: uniform(g, 3, F16, 0.0, 1e6), RuntimeError, "to is out of bounds for Half"),
    (lambda g: uniform(g, 3, I64), NotImplementedError, "not implemented for 'Long'"),
    (lambda g: uniform(g, 3, F32, -3e38, 3e38), RuntimeError, "to-from"),
    (lambda g: normal(g, 3, F32, 0.0, -1.0), RuntimeError, "normal expects std >= 0.0"),
    (lambda g: normal(g, 3, I64), NotImplementedError, "'Long'"),
    (
        lambda g: random_recipes.normal_of(g, 0.0, np.array([1.0, -1.0])),
        RuntimeError,
        "all elements of std >= 0.0",
    ),
    (lambda g: randint(g, 3, I64, 5, 5), RuntimeError, "from=5 >= to=5"),
    (lambda g: randint(g, 3, U8, 0, 300), RuntimeError, "to - 1 is out of bounds for Byte"),
    (lambda g: randint(g, 3, BOOL, -1, 1), RuntimeError, "from is out of bounds for Bool"),
    (lambda g: randint(g, 3, C64, 0, 3), RuntimeError, "handles only integral"),
    (lambda g: random_recipes.random(g, 3, C64), NotImplementedError, "'ComplexFloat'"),
    (lambda g: randperm(g, -1), RuntimeError, "non-negative"),
    (lambda g: randperm(g, 300, U8), RuntimeError, "n cannot be greater than 256 for Byte"),
    (lambda g: bernoulli(g, 3, F32, 1.5), RuntimeError, r"p to be in \[0, 1\], but got p=1.5"),
    (lambda g: bernoulli(g, 2, F32, np.array([0, 2.0])), RuntimeError, "p_in >= 0 && p_in <= 1"),
    (lambda g: bernoulli(g, 2, F32, np.array([0, np.nan])), RuntimeError, "p_in >= 0 && p_in <= 1"),
    (lambda g: random_recipes.geometric(g, 3, F32, 1.0), RuntimeError, r"p to be in \(0, 1\)"),
    (lambda g: random_recipes.exponential(g, 3, F32, 0.0), RuntimeError, "lambda > 0.0"),
    (lambda g: random_recipes.exponential(g, 3, I64), RuntimeError, "must be a floating point"),
    (lambda g: random_recipes.cauchy(g, 3, F32, 0.0, 0.0), RuntimeError, "sigma > 0.0"),
    (lambda g: random_recipes.log_normal(g, 3, F32, 0.0, 0.0), RuntimeError, "std > 0.0"),
    (lambda g: random_samplers.poisson(g, np.array([-1.0])), RuntimeError, "invalid Poisson rate"),
    (lambda g: random_samplers.multinomial(g, WEIGHTS, 28), RuntimeError, "without replacement"),
    (lambda g: random_samplers.multinomial(g, WEIGHTS, 0), RuntimeError, "n_sample <= 0"),
    (lambda g: random_samplers.multinomial(g, -WEIGHTS, 2), RuntimeError, "element < 0"),
    (lambda g: random_samplers.multinomial(g, 0 * WEIGHTS, 2), RuntimeError, "<= 0"),
    (lambda g: random_samplers.multinomial(g, -WEIGHTS, 2, True), RuntimeError, "entry < 0"),
    (lambda g: random_samplers.multinomial(g, WEIGHTS / 0, 2, True), RuntimeError, "NaN|entry < 0"),
    (lambda g: random_samplers.multinomial(g, np.ones((2, 2, 2)), 1), RuntimeError, "1 or 2 dim"),
    (lambda g: random_samplers.multinomial(g, np.arange(3), 1), RuntimeError, "floating-point"),
]


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
@pytest.mark.parametrize("call, error, message", ERRORS, ids=[case[2] for case in ERRORS])
def test_errors(call, error, message):
    g = Generator().manual_seed(1)
    before = g.get_state_array().tolist()
    with pytest.raises(error, match=message):
        call(g)
    assert g.get_state_array().tolist() == before
