"""Frequent mistakes: each a function that makes one. The messages are in messages.json.

``python tests/errors/mistakes.py flambeau > tests/errors/messages.json`` writes them anew, to be
read before they are kept; ``python tests/errors/mistakes.py torch`` prints PyTorch's.
"""

from __future__ import annotations

import importlib
import json
import sys
import warnings


def matmul_inner(t):
    t.ones(32, 30) @ t.ones(20, 200)


def matmul_transposed(t):
    t.ones(32, 30) @ t.ones(10, 30)


def matmul_batch(t):
    t.ones(2, 3, 4) @ t.ones(3, 4, 5)


def matmul_batch_inner(t):
    t.ones(2, 3, 4) @ t.ones(2, 5, 4)


def matmul_scalar(t):
    t.ones(()) @ t.ones(3)


def matmul_dtype(t):
    t.ones(2, 2) @ t.ones(2, 2, dtype=t.float64)


def mm_dimensions(t):
    t.mm(t.ones(2, 3, 4), t.ones(4, 5))


def bmm_dimensions(t):
    t.bmm(t.ones(2, 3), t.ones(3, 4))


def dot_sizes(t):
    t.dot(t.ones(3), t.ones(4))


def linear_input(t):
    t.nn.Linear(20, 200)(t.ones(32, 30))


def linear_in_a_model(t):
    class Net(t.nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = t.nn.ModuleList([t.nn.Sequential(t.nn.Linear(4, 8), t.nn.Linear(9, 2))])

        def forward(self, x):
            return self.blocks[0](x)

    Net()(t.ones(3, 4))


def linear_dtype(t):
    t.nn.Linear(2, 2)(t.ones(1, 2, dtype=t.float64))


def conv_channels(t):
    t.nn.Conv2d(3, 8, 3)(t.ones(1, 4, 8, 8))


def conv_too_small(t):
    t.nn.Conv2d(3, 8, 5)(t.ones(1, 3, 4, 4))


def broadcast(t):
    t.ones(3, 4) + t.ones(3)


def broadcast_second(t):
    t.ones(5, 2) * t.ones(4, 2)


def view_count(t):
    t.ones(2, 3).view(4)


def view_infer(t):
    t.ones(2, 3).view(-1, 4)


def view_twice_inferred(t):
    t.ones(2, 3).view(-1, -1)


def view_not_contiguous(t):
    t.ones(2, 3).t().view(6)


def reshape_count(t):
    t.arange(10).reshape(3, 3)


def expand_size(t):
    t.ones(3).expand(4)


def cat_sizes(t):
    t.cat([t.ones(2, 3), t.ones(2, 4)])


def cat_dimensions(t):
    t.cat([t.ones(2, 3), t.ones(2)])


def stack_sizes(t):
    t.stack([t.ones(3), t.ones(3), t.ones(4)])


def dim_range(t):
    t.ones(2, 3).sum(2)


def dim_range_softmax(t):
    t.ones(2, 3).softmax(5)


def squeeze_dim(t):
    t.ones(2, 3).transpose(0, 2)


def index_range(t):
    t.arange(5)[7]


def index_tensor_range(t):
    t.ones(5, 2)[t.tensor([0, 4, 7])]


def index_too_many(t):
    t.ones(2, 3)[0, 0, 0]


def index_float(t):
    t.ones(3)[t.tensor([0.5])]


def mask_shape(t):
    t.ones(3)[t.tensor([True, False])]


def gather_range(t):
    t.ones(2, 3).gather(1, t.tensor([[3], [0]]))


def scatter_dtype(t):
    t.zeros(3).scatter_(0, t.tensor([0]), t.ones(1, dtype=t.float64))


def index_select_range(t):
    t.ones(3).index_select(0, t.tensor([5]))


def assign_shape(t):
    x = t.zeros(2, 3)
    x[0] = t.ones(4)


def embedding_range(t):
    t.nn.Embedding(10, 3)(t.tensor([1, 10]))


def embedding_float(t):
    t.nn.Embedding(10, 3)(t.tensor([1.0]))


def target_range(t):
    t.nn.functional.cross_entropy(t.zeros(3, 4), t.tensor([0, 1, 4]))


def target_negative(t):
    t.nn.functional.cross_entropy(t.zeros(2, 4), t.tensor([0, -1]))


def target_float(t):
    t.nn.functional.cross_entropy(t.zeros(2, 4), t.tensor([0.0, 1.0]))


def target_int32(t):
    t.nn.functional.nll_loss(t.zeros(2, 4), t.tensor([0, 1], dtype=t.int32))


def target_batch(t):
    t.nn.functional.cross_entropy(t.zeros(6, 4), t.zeros(3, dtype=t.int64))


def target_column(t):
    t.nn.functional.cross_entropy(t.zeros(3, 4), t.zeros(3, 1, dtype=t.int64))


def bce_range(t):
    t.nn.functional.binary_cross_entropy(t.tensor([1.5]), t.tensor([1.0]))


def bce_shape(t):
    t.nn.functional.binary_cross_entropy(t.ones(3, 1), t.ones(3))


def item_of_many(t):
    t.ones(3).item()


def truth_of_many(t):
    bool(t.ones(3) > 0)


def numpy_of_graph(t):
    (t.ones(2, requires_grad=True) * 2).numpy()


def ragged(t):
    t.tensor([[1, 2], [3]])


def strings(t):
    t.tensor(["a", "b"])


def none_inside(t):
    t.tensor([1, None])


def cuda_device(t):
    t.ones(2, device="cuda")


def unknown_device(t):
    t.device("gpu")


def int_mean(t):
    t.arange(3).mean()


def bool_minus(t):
    t.tensor([True]) - t.tensor([False])


def float_into_int(t):
    x = t.arange(3)
    x += 0.5


def backward_not_scalar(t):
    (t.ones(3, requires_grad=True) * 2).backward()


def backward_without_graph(t):
    t.ones(3).sum().backward()


def backward_twice(t):
    x = t.ones(3, requires_grad=True)
    y = (x * x).sum()
    y.backward()
    y.backward()


def backward_through_the_step_before(t):
    w = t.ones(3, requires_grad=True)
    h = t.zeros(3)
    for _ in range(2):
        h = (h * w).tanh()
        h.sum().backward()


def leaf_in_place(t):
    x = t.ones(3, requires_grad=True)
    x += 1


def saved_changed(t):
    x = t.ones(3, requires_grad=True)
    y = x.exp()
    y.add_(1)
    y.sum().backward()


def int_requires_grad(t):
    t.tensor([1, 2], requires_grad=True)


def parameter_of_ints(t):
    t.nn.Parameter(t.arange(3))


def unused_input(t):
    x, y = t.ones(1, requires_grad=True), t.ones(1, requires_grad=True)
    t.autograd.grad(x * 2, [y])


def empty_max(t):
    t.ones(0).max()


def empty_argmax(t):
    t.ones(0, 3).argmax(0)


def multinomial_negative(t):
    t.multinomial(t.tensor([0.5, -0.5]), 1)


def multinomial_too_many(t):
    t.multinomial(t.tensor([0.5, 0.5]), 3)


def cholesky_indefinite(t):
    t.linalg.cholesky(t.tensor([[1.0, 2.0], [2.0, 1.0]]))


def inverse_singular(t):
    t.linalg.inv(t.zeros(2, 2))


def optimizer_empty(t):
    t.optim.SGD([], lr=0.1)


def optimizer_tensor(t):
    t.optim.SGD(t.ones(2, requires_grad=True), lr=0.1)


def optimizer_rate(t):
    t.optim.Adam([t.ones(2, requires_grad=True)], lr=-1)


def optimizer_result(t):
    t.optim.SGD([t.ones(2, requires_grad=True) * 2], lr=0.1)


def state_missing(t):
    t.nn.Linear(2, 3).load_state_dict({"weight": t.ones(3, 2)})


def state_prefixed(t):
    model = t.nn.Linear(2, 3)
    model.load_state_dict({"module." + k: v for k, v in model.state_dict().items()})


def state_size(t):
    t.nn.Linear(2, 3).load_state_dict({"weight": t.ones(3, 4), "bias": t.ones(3)})


def missing_attribute(t):
    t.nn.Linear(2, 3).wieght  # noqa: B018


def module_before_init(t):
    class Net(t.nn.Module):
        def __init__(self):
            self.layer = t.nn.Linear(2, 2)

    Net()


def forward_missing(t):
    class Net(t.nn.Module):
        pass

    Net()(1)


def argument_type(t):
    t.tanh(3.0)


def list_argument(t):
    t.matmul(t.ones(2, 2), [[1.0, 2.0], [3.0, 4.0]])


def einsum_operands(t):
    t.einsum("ij,jk->ik", t.ones(2, 3))


def einsum_sizes(t):
    t.einsum("ij,jk->ik", t.ones(2, 3), t.ones(4, 5))


def one_hot_range(t):
    t.nn.functional.one_hot(t.tensor([0, 3]), 3)


def pool_kernel(t):
    t.nn.functional.max_pool2d(t.ones(1, 1, 2, 2), 3)


def layer_norm_shape(t):
    t.nn.LayerNorm(4)(t.ones(2, 3))


def batch_norm_one_value(t):
    t.nn.BatchNorm1d(3)(t.ones(1, 3))


def dropout_probability(t):
    t.nn.Dropout(1.5)


def number_too_large(t):
    t.tensor([1, 300], dtype=t.uint8)


def number_not_an_integer(t):
    t.zeros(3, dtype=t.int64).fill_(float("nan"))


def ragged_arrays(t):
    t.tensor([t.ones(2), t.ones(3)])


def bce_target(t):
    t.nn.functional.binary_cross_entropy(t.rand(2), t.tensor([0.0, 2.0]))


def convolution_dtype(t):
    t.nn.Conv2d(1, 1, 3)(t.zeros(1, 1, 4, 4, dtype=t.uint8))


def several_elements_as_one(t):
    float(t.ones(2))


def instance_of_function(t):
    class Double(t.autograd.Function):
        pass

    Double()(t.ones(2))


def message(function: object, module: object) -> str:
    """Type and text of the exception, with its notes; the file is named mistakes.py."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            function(module)
        except Exception as error:
            notes = getattr(error, "__notes__", [])
            return "\n".join([f"{type(error).__name__}: {error}", *notes])
    return "no exception"


MISTAKES = {
    name: f
    for name, f in list(globals().items())
    if callable(f) and name != "message" and getattr(f, "__module__", None) == __name__
}


if __name__ == "__main__":
    library = importlib.import_module(sys.argv[1])
    print(json.dumps({n: message(f, library) for n, f in MISTAKES.items()}, indent=1))
