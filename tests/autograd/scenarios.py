"""What autograd does in some situations: functions of the library, whose answers are compared.

``golden.json`` holds what PyTorch 2.13 answers; tests/golden.py records and compares.
"""

from __future__ import annotations

# ---- leaves, accumulation, graph -----------------------------------------------------------


def leaf_flags(t):
    x = t.ones(2, requires_grad=True)
    y = x * 2
    return x.is_leaf, y.is_leaf, y.requires_grad, y.detach().is_leaf, t.ones(2).is_leaf


def accumulates(t):
    x = t.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    (3 * x).sum().backward()
    return x.grad


def used_twice(t):
    x = t.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    (y * y + y).sum().backward()
    return x.grad


def grad_is_not_shared(t):
    x = t.ones(2, requires_grad=True)
    y = t.ones(2, requires_grad=True)
    (x + y).backward(t.ones(2))
    x.grad.add_(5)
    return x.grad, y.grad


def given_gradient_is_not_kept(t):
    x = t.ones(2, requires_grad=True)
    g = t.ones(2)
    x.backward(g)
    x.grad.add_(5)
    return x.grad, g


def second_backward(t):
    x = t.tensor([1.0, 2.0], requires_grad=True)
    y = (x * x).sum()
    y.backward()
    y.backward()


def retained(t):
    x = t.tensor([1.0, 2.0], requires_grad=True)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    return x.grad


def second_backward_without_saved(t):
    x = t.tensor([1.0, 2.0], requires_grad=True)
    y = (x + 1).sum()
    y.backward()
    y.backward()
    return x.grad


def non_scalar(t):
    t.ones(3, requires_grad=True).mul(2).backward()


def no_grad_root(t):
    t.ones(1).backward()


def wrong_gradient_shape(t):
    x = t.ones(3, requires_grad=True)
    (x * 2).backward(t.ones(2))


def int_requires_grad(t):
    t.ones(2, dtype=t.int64).requires_grad_()


def stop_at_result(t):
    x = t.ones(2, requires_grad=True)
    (x * 2).requires_grad_(False)


def names(t):
    x = t.rand(3, 3, requires_grad=True)
    made = [
        x + 1, x - 1, x * 2, x / 2, -x, x**2, x @ x, x.exp(), x.log(), x.tanh(), x.sum(),
        x.sum(0), x.mean(), x.view(9), x.t(), x.transpose(0, 1), x[0], x[0:1], x[x > 0.5],
        x.relu(), x.sigmoid(), x.softmax(0), x.max(), x.max(0).values, x.clone(), x.abs(),
        t.cat([x, x]), t.stack([x, x]), x.unsqueeze(0), x.expand(2, 3, 3), x.sqrt(), 1 - x,
        x.permute(1, 0), x.reshape(9), x.unbind(0)[1], x.split(1)[0], x.double(), x.clamp(0, 1),
    ]  # fmt: skip
    return [v.grad_fn.name() for v in made]


def next_functions(t):
    x = t.ones(2, requires_grad=True)
    y = x * 2 + 1
    add = y.grad_fn
    mul = add.next_functions[0][0]
    leaf = mul.next_functions[0][0]
    return add.name(), mul.name(), leaf.name(), leaf.variable is x, add.next_functions[1][0]


def deep_chain(t):
    x = t.ones(1, requires_grad=True)
    y = x
    for _ in range(3000):
        y = y + 0.001
    y.backward()
    return x.grad


def into_inputs_only(t):
    x = t.ones(2, requires_grad=True)
    y = t.ones(2, requires_grad=True)
    (x * y).sum().backward(inputs=[x])
    return x.grad, y.grad


def into_intermediate(t):
    x = t.ones(2, requires_grad=True)
    y = x * 2
    (y * y).sum().backward(inputs=[y])
    return x.grad, y.grad


def mixed_dtypes(t):
    x = t.ones(2, requires_grad=True)
    y = t.ones(2, dtype=t.float64, requires_grad=True)
    (x * y).sum().backward()
    return str(x.grad.dtype), str(y.grad.dtype)


def broadcast(t):
    x = t.ones(3, 1, requires_grad=True)
    y = t.ones(4, requires_grad=True)
    (x * y).sum().backward()
    return x.grad, y.grad


def complex_modulus(t):
    z = t.tensor([3 + 4j], requires_grad=True)
    (z.abs() ** 2).sum().backward()
    return z.grad.real, z.grad.imag


# ---- autograd.grad, higher order -----------------------------------------------------------


def grad_plain(t):
    x = t.tensor([1.0, 2.0], requires_grad=True)
    (g,) = t.autograd.grad((x**3).sum(), x)
    return g, x.grad, g.requires_grad


def grad_unused(t):
    x = t.ones(2, requires_grad=True)
    y = t.ones(2, requires_grad=True)
    return t.autograd.grad((x * 2).sum(), [x, y])


def grad_unused_allowed(t):
    x = t.ones(2, requires_grad=True)
    y = t.ones(2, requires_grad=True)
    return t.autograd.grad((x * 2).sum(), [x, y], allow_unused=True)


def grad_materialized(t):
    x = t.ones(2, requires_grad=True)
    y = t.ones(2, requires_grad=True)
    return t.autograd.grad((x * 2).sum(), [x, y], materialize_grads=True)


def grad_without_requires(t):
    x = t.ones(2, requires_grad=True)
    return t.autograd.grad((x * 2).sum(), t.ones(2))


def third_derivative(t):
    x = t.tensor(2.0, requires_grad=True)
    y = x**4
    for _ in range(3):
        (y,) = t.autograd.grad(y, x, create_graph=True)
    return y, y.requires_grad


def gradient_penalty(t):
    w = t.tensor([1.0, -2.0], requires_grad=True)
    x = t.tensor([0.5, 0.25], requires_grad=True)
    (g,) = t.autograd.grad((w * x).tanh().sum(), x, create_graph=True)
    (g * g).sum().backward()
    return w.grad, x.grad


def batched(t):
    x = t.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x * x
    return t.autograd.grad(y, x, t.eye(3), is_grads_batched=True)


def of_intermediate(t):
    x = t.tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    z = (y * 3).sum()
    return t.autograd.grad(z, [y, x])


def backward_creates_graph(t):
    x = t.tensor(3.0, requires_grad=True)
    (x**3).backward(create_graph=True)
    g = x.grad
    x.grad = None
    g.backward()
    return x.grad


# ---- modes ---------------------------------------------------------------------------------


def modes(t):
    x = t.ones(1, requires_grad=True)
    seen = [t.is_grad_enabled()]
    with t.no_grad():
        seen += [t.is_grad_enabled(), (x * 2).requires_grad]
        with t.enable_grad():
            seen += [(x * 2).requires_grad]
    with t.set_grad_enabled(False):
        seen += [(x * 2).requires_grad]
    with t.inference_mode():
        y = x * 2
        seen += [y.requires_grad, y.is_inference(), t.is_inference_mode_enabled()]
    return [*seen, t.is_grad_enabled()]


def decorators(t):
    x = t.ones(1, requires_grad=True)

    @t.no_grad()
    def f():
        return (x * 2).requires_grad

    @t.inference_mode()
    def g():
        return (x * 2).is_inference()

    @t.set_grad_enabled(False)
    def h():
        return (x * 2).requires_grad

    @t.no_grad()
    def items():
        for _ in range(2):
            yield (x * 2).requires_grad

    outside = [(r, (x * 2).requires_grad) for r in items()]
    return f(), g(), h(), t.is_grad_enabled(), outside


def inference_saved(t):
    x = t.ones(1, requires_grad=True)
    with t.inference_mode():
        y = t.ones(1) * 2
    return (x * y).requires_grad


def inference_inplace(t):
    with t.inference_mode():
        y = t.ones(1) * 2
    y.add_(1)


def inference_requires_grad(t):
    with t.inference_mode():
        y = t.ones(1)
    y.requires_grad_()


# ---- in place ------------------------------------------------------------------------------


def leaf_in_place(t):
    x = t.ones(2, requires_grad=True)
    x.add_(1)


def leaf_view_in_place(t):
    x = t.ones(2, requires_grad=True)
    x[0] = 5


def leaf_no_grad_in_place(t):
    x = t.ones(2, requires_grad=True)
    with t.no_grad():
        x.mul_(3)
        x[0] = 7
    return x, x._version


def saved_was_changed(t):
    x = t.ones(2, requires_grad=True)
    y = x.exp()
    y.add_(1)
    y.sum().backward()


def saved_input_was_changed(t):
    x = t.ones(2, requires_grad=True)
    w = t.ones(2)
    y = x * w
    w.mul_(2)
    y.sum().backward()


def unsaved_was_changed(t):
    x = t.ones(2, requires_grad=True)
    y = x + 1
    y.mul_(2)
    y.sum().backward()
    return x.grad


def mul_in_place(t):
    x = t.tensor([2.0, 3.0], requires_grad=True)
    w = t.tensor([4.0, 5.0], requires_grad=True)
    y = x * 1
    y.mul_(w)
    y.sum().backward()
    return x.grad, w.grad


def view_in_place(t):
    x = t.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    y = x * 1
    y[0].mul_(10)
    y.sum().backward()
    return y, x.grad, y.grad_fn.name()


def base_in_place(t):
    x = t.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    y = x * 1
    v = y[0]
    y.mul_(10)
    v.sum().backward()
    return v, x.grad


def sibling_views(t):
    x = t.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x * 1
    a, b = y[:2], y[1:]
    a.mul_(10)
    b.sum().backward()
    return b, x.grad


def assign_with_gradient(t):
    x = t.zeros(3)
    w = t.tensor([1.0, 2.0], requires_grad=True)
    x[1:] = w * 3
    x.sum().backward()
    return x, w.grad, x.requires_grad


def assign_overwrites(t):
    x = t.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x * 2
    y[1] = 0
    y.sum().backward()
    return x.grad


def transposed_view_in_place(t):
    x = t.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    y = x * 1
    y.t()[0].mul_(5)
    y.sum().backward()
    return y, x.grad


def view_of_view_in_place(t):
    x = t.arange(8.0).requires_grad_()
    y = x * 1
    y.view(2, 4)[1].view(2, 2)[0].mul_(3)
    (y * y).sum().backward()
    return y, x.grad


def unbind_view_in_place(t):
    x = t.ones(2, 2, requires_grad=True)
    y = x * 1
    y.unbind(0)[0].mul_(2)


def no_grad_view_in_place(t):
    x = t.ones(2, requires_grad=True)
    y = x * 1
    with t.no_grad():
        v = y[0]
    v.mul_(2)


def versions(t):
    x = t.ones(3)
    v = x[0]
    d = x.detach()
    seen = [x._version]
    v.add_(1)
    seen += [x._version, v._version, d._version]
    d.add_(1)
    seen += [x._version]
    x.data.add_(1)
    return [*seen, x._version, x]


def data_is_unwatched(t):
    x = t.ones(2, requires_grad=True)
    w = t.ones(2)
    y = x * w
    w.data.mul_(2)
    y.sum().backward()
    return x.grad


def detach_shares(t):
    x = t.ones(2, requires_grad=True)
    y = x * 1
    y.detach().mul_(5)
    return y


def copy_in_place(t):
    x = t.tensor([1.0, 2.0], requires_grad=True)
    y = t.zeros(2, 2)
    y.copy_(x)
    y.sum().backward()
    return y, x.grad, y.grad_fn.name()


def float_into_int(t):
    t.ones(2, dtype=t.int64).add_(0.5)


def grown_in_place(t):
    t.ones(2).add_(t.ones(3, 2))


def expanded_in_place(t):
    t.ones(1).expand(3).add_(1)


def out_with_grad(t):
    x = t.ones(2, requires_grad=True)
    t.add(x, 1, out=t.zeros(2))


# ---- hooks ---------------------------------------------------------------------------------


def tensor_hook(t):
    x = t.tensor([1.0, 2.0], requires_grad=True)
    seen = []
    y = x * 3
    y.register_hook(lambda g: seen.append(g.tolist()))
    handle = x.register_hook(lambda g: g * 10)
    y.sum().backward()
    first = x.grad.clone()
    handle.remove()
    x.grad = None
    (x * 3).sum().backward()
    return seen, first, x.grad


def hook_without_grad(t):
    t.ones(1).register_hook(lambda g: g)


def retain_grad(t):
    x = t.ones(2, requires_grad=True)
    y = x * 3
    y.retain_grad()
    (y * y).sum().backward()
    return y.grad, y.retains_grad, x.grad


def node_hooks(t):
    x = t.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    seen = []
    y.grad_fn.register_prehook(lambda gs: seen.append(("pre", gs[0].tolist())))
    y.grad_fn.register_hook(lambda gi, go: seen.append(("post", gi[0].tolist(), go[0].tolist())))
    y.sum().backward()
    return seen


def post_accumulate_hook(t):
    x = t.tensor([1.0, 2.0], requires_grad=True)
    seen = []
    x.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.tolist()))
    (x * 3).sum().backward()
    return seen


def hook_changes_size(t):
    x = t.ones(2, requires_grad=True)
    x.register_hook(lambda g: g[:1])
    x.sum().backward()


# ---- custom functions ----------------------------------------------------------------------


def _cube(t):
    class Cube(t.autograd.Function):
        @staticmethod
        def forward(ctx, x, scale):
            ctx.save_for_backward(x)
            ctx.scale = scale
            return x**3 * scale

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 3 * x**2 * ctx.scale * g, None

    return Cube


def custom(t):
    x = t.tensor([1.0, 2.0], requires_grad=True)
    y = _cube(t).apply(x, 2)
    y.sum().backward()
    return y, x.grad, y.grad_fn.name()


def custom_twice(t):
    x = t.tensor(2.0, requires_grad=True)
    y = _cube(t).apply(x, 1)
    (g,) = t.autograd.grad(y, x, create_graph=True)
    return g, t.autograd.grad(g, x)


def custom_saves_output(t):
    class Exp(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x.exp()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0]

    x = t.tensor([0.0, 1.0], requires_grad=True)
    y = Exp.apply(x)
    (g,) = t.autograd.grad(y.sum(), x, create_graph=True)
    return g, t.autograd.grad(g.sum(), x)


def custom_setup_context(t):
    class Double(t.autograd.Function):
        @staticmethod
        def forward(x):
            return x * 2

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.factor = 2

        @staticmethod
        def backward(ctx, g):
            return g * ctx.factor

    x = t.ones(2, requires_grad=True)
    Double.apply(x).sum().backward()
    return x.grad


def custom_several(t):
    class Split(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.needs = ctx.needs_input_grad
            a, b, i = x * 2, x * 3, x.argmax()
            ctx.mark_non_differentiable(i)
            return a, b, i

        @staticmethod
        def backward(ctx, ga, gb, gi):
            return 2 * ga + 3 * gb

    x = t.tensor([1.0, 5.0], requires_grad=True)
    a, b, i = Split.apply(x)
    b.sum().backward()
    return x.grad, i.requires_grad, a.requires_grad


def custom_wrong_count(t):
    class Bad(t.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            return x + y

        @staticmethod
        def backward(ctx, g):
            return g

    x = t.ones(2, requires_grad=True)
    Bad.apply(x, x).sum().backward()


def custom_once(t):
    class Once(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @t.autograd.function.once_differentiable
        def backward(ctx, g):
            return g * 2 * ctx.saved_tensors[0]

    x = t.tensor(3.0, requires_grad=True)
    (g,) = t.autograd.grad(Once.apply(x), x, create_graph=True)
    g.backward()


def custom_dirty(t):
    class AddOne(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            x.add_(1)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 7

    x = t.ones(2, requires_grad=True)
    y = x * 1
    z = AddOne.apply(y)
    z.sum().backward()
    return x.grad, z is y


def custom_instantiated(t):
    _cube(t)()


# ---- functional ----------------------------------------------------------------------------


def jacobians(t):
    f = t.autograd.functional
    x = t.tensor([1.0, 2.0])
    y = t.tensor([3.0])
    return (
        f.jacobian(lambda v: v**2, x),
        f.jacobian(lambda a, b: a * b, (x, y)),
        f.hessian(lambda v: (v**3).sum(), x),
        f.vjp(lambda v: v**2, x, t.ones(2)),
        f.jvp(lambda v: v**2, x, t.ones(2)),
        f.hvp(lambda v: (v**3).sum(), x, t.ones(2)),
        f.vhp(lambda v: (v**3).sum(), x, t.ones(2)),
    )


def jvp_wrong_size(t):
    t.autograd.functional.jvp(lambda v: v**2, t.ones(2), t.ones(3))


def checks(t):
    x = t.rand(3, dtype=t.float64, requires_grad=True)
    f = lambda v: (v * v).tanh()
    return t.autograd.gradcheck(f, (x,)), t.autograd.gradgradcheck(f, (x,))


def check_fails(t):
    class Wrong(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 3

    x = t.rand(2, dtype=t.float64, requires_grad=True)
    return t.autograd.gradcheck(Wrong.apply, (x,), raise_exception=False)


def anomaly(t):
    x = t.zeros(1, requires_grad=True)
    with t.autograd.detect_anomaly():
        (x * 0 / x).sum().backward()


# ---- grad attribute ------------------------------------------------------------------------


def grad_wrong_shape(t):
    x = t.ones(2, requires_grad=True)
    x.grad = t.ones(3)


def grad_wrong_type(t):
    x = t.ones(2, requires_grad=True)
    x.grad = 5


def numpy_of_grad(t):
    t.ones(2, requires_grad=True).numpy()


def deepcopy_of_result(t):
    import copy

    copy.deepcopy(t.ones(2, requires_grad=True) * 2)


def item_of_many(t):
    t.ones(2).item()


def bool_of_many(t):
    bool(t.ones(2))
