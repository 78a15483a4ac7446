"""Programs that every learner meets, in small: each returns what its training printed.

``f(t)`` trains with the library ``t`` in float64; ``f(t, t.compile)`` trains by a compiled step.
"""

from __future__ import annotations

import importlib
import math
import random
from collections import deque
from collections.abc import Callable
from types import ModuleType

import numpy as np

Wrap = Callable[[Callable], Callable]


def _plain(step: Callable) -> Callable:
    return step


def _begin(t: ModuleType) -> None:
    t.set_default_dtype(t.float64)
    t.manual_seed(0)


def _digits(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of 12 x 12 with a bar for each of four classes, in noise."""
    r = np.random.default_rng(0)
    y = r.integers(0, 4, n)
    x = r.random((n, 1, 12, 12)) * 0.3
    for image, label in zip(x, y, strict=True):
        image[0, 3 * label : 3 * label + 3] += 0.7
    return x, y


def convnet(t: ModuleType, wrap: Wrap = _plain) -> list:
    _begin(t)
    nn, F = t.nn, t.nn.functional
    x, y = map(t.from_numpy, _digits(48))
    net = nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout2d(0.2),
        nn.Flatten(), nn.Linear(150, 16), nn.ReLU(inplace=True), nn.Dropout(0.3), nn.Linear(16, 4),
        nn.LogSoftmax(dim=1),
    )  # fmt: skip
    optimizer = t.optim.Adadelta(net.parameters(), lr=1.0)
    schedule = t.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    data = t.utils.data.TensorDataset(x, y)
    train, held = t.utils.data.random_split(data, [0.75, 0.25])
    told = []

    @wrap
    def step(x, y):
        optimizer.zero_grad()
        loss = F.nll_loss(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(3):
        net.train()
        for batch in t.utils.data.DataLoader(train, batch_size=12, shuffle=True):
            told.append(step(*batch).item())
        schedule.step()
        net.eval()
        with t.no_grad():
            for a, b in t.utils.data.DataLoader(held, batch_size=8):
                told.append(net(a).argmax(1, keepdim=True).eq(b.view(-1, 1)).sum().item())
    return [*told, schedule.get_last_lr(), net[1].running_var.tolist()]


def vae(t: ModuleType, wrap: Wrap = _plain) -> list:
    _begin(t)
    nn, F = t.nn, t.nn.functional
    x = t.from_numpy(_digits(24)[0]).flatten(1)

    class VAE(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(144, 16)
            self.mean, self.log_variance = nn.Linear(16, 3), nn.Linear(16, 3)
            self.decode = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 144))

        def forward(self, x):
            h = self.inner(x).relu()
            mean, log_variance = self.mean(h), self.log_variance(h)
            std = t.exp(0.5 * log_variance)
            return self.decode(mean + t.randn_like(std) * std).sigmoid(), mean, log_variance

    net = VAE()
    optimizer = t.optim.Adam(net.parameters(), lr=1e-2)

    @wrap
    def step(x):
        optimizer.zero_grad()
        out, mean, lv = net(x)
        loss = F.binary_cross_entropy(out, x.clamp(0, 1), reduction="sum")
        loss = loss - 0.5 * t.sum(1 + lv - mean.pow(2) - lv.exp())
        loss.backward()
        norm = nn.utils.clip_grad_norm_(net.parameters(), 50.0)
        optimizer.step()
        return loss, norm

    told = [[v.item() for v in step(x[i * 8 : i * 8 + 8])] for i in (0, 1, 2, 0, 1)]
    with t.no_grad():
        return [*told, net.decode(t.randn(2, 3)).sum(1).tolist()]


def dcgan(t: ModuleType, wrap: Wrap = _plain) -> list:
    _begin(t)
    nn = t.nn
    x = t.from_numpy(_digits(24)[0])[..., 2:10, 2:10] * 2 - 1
    G = nn.Sequential(
        nn.ConvTranspose2d(5, 8, 4, 1, 0, bias=False), nn.BatchNorm2d(8), nn.ReLU(True),
        nn.ConvTranspose2d(8, 1, 4, 2, 1, bias=False), nn.Tanh(),
    )  # fmt: skip
    D = nn.Sequential(
        nn.Conv2d(1, 8, 4, 2, 1, bias=False), nn.BatchNorm2d(8), nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(8, 1, 4, 1, 0, bias=False), nn.Sigmoid(),
    )  # fmt: skip
    for module in [*G, *D]:
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight.data, 0.0, 0.2)
    criterion = nn.BCELoss()
    of_D = t.optim.Adam(D.parameters(), lr=1e-2, betas=(0.5, 0.999))
    of_G = t.optim.Adam(G.parameters(), lr=1e-2, betas=(0.5, 0.999))

    @wrap
    def step(real):
        D.zero_grad()
        label = t.full((8,), 1.0)
        loss_real = criterion(D(real).view(-1), label)
        loss_real.backward()
        fake = G(t.randn(8, 5, 1, 1))
        label.fill_(0.0)
        loss_fake = criterion(D(fake.detach()).view(-1), label)
        loss_fake.backward()
        of_D.step()
        G.zero_grad()
        label.fill_(1.0)
        loss_G = criterion(D(fake).view(-1), label)
        loss_G.backward()
        of_G.step()
        return loss_real + loss_fake, loss_G

    return [[v.item() for v in step(x[i * 8 : i * 8 + 8])] for i in (0, 1, 2, 0)]


def gradient_penalty(t: ModuleType, wrap: Wrap = _plain) -> list:
    _begin(t)
    nn = t.nn
    critic = nn.Sequential(nn.Linear(6, 12), nn.Softplus(), nn.Linear(12, 1))
    optimizer = t.optim.RMSprop(critic.parameters(), lr=1e-2)

    @wrap
    def step(real, fake):
        a = t.rand(real.size(0), 1).expand_as(real)
        between = (a * real + (1 - a) * fake).requires_grad_(True)
        score = critic(between)
        (slope,) = t.autograd.grad(score, between, t.ones_like(score), create_graph=True)
        penalty = ((slope.norm(2, dim=1) - 1) ** 2).mean()
        loss = critic(fake).mean() - critic(real).mean() + 10 * penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss, penalty

    return [[v.item() for v in step(t.randn(8, 6), t.rand(8, 6))] for _ in range(4)]


_TEXT = (
    "the cat sat on the mat and the dog sat on the log but the cat ran from the dog " * 3
).split()


def _words(t: ModuleType) -> tuple:
    words = sorted(set(_TEXT))
    ids = t.tensor([words.index(w) for w in _TEXT])
    return ids.narrow(0, 0, 56).view(4, -1).t().contiguous(), len(words)


def _language_model(t: ModuleType, kind: str, wrap: Wrap) -> list:
    _begin(t)
    nn, F = t.nn, t.nn.functional
    ids, n = _words(t)
    embed, rnn, decode = (
        nn.Embedding(n, 8),
        getattr(nn, kind)(8, 8, 2, dropout=0.2),
        nn.Linear(8, n),
    )
    decode.weight = embed.weight
    weights = [*embed.parameters(), *rnn.parameters(), decode.bias]

    @wrap
    def step(x, y, state):
        for p in weights:
            p.grad = None
        out, state = rnn(F.dropout(embed(x), 0.2), state)
        loss = F.cross_entropy(decode(out).view(-1, n), y.reshape(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 0.25)
        with t.no_grad():
            for p in weights:
                p.add_(p.grad, alpha=-2.0)
        many = isinstance(state, tuple)
        return loss, tuple(s.detach() for s in state) if many else state.detach()

    state, told = t.zeros(2, 4, 8), []
    state = (state, state.clone()) if kind == "LSTM" else state
    for i in (0, 4, 8, 0, 4):
        loss, state = step(ids[i : i + 4], ids[i + 1 : i + 5], state)
        told.append(loss.item())
    return told


def lstm(t: ModuleType, wrap: Wrap = _plain) -> list:
    return _language_model(t, "LSTM", wrap)


def gru(t: ModuleType, wrap: Wrap = _plain) -> list:
    return _language_model(t, "GRU", wrap)


def transformer(t: ModuleType, wrap: Wrap = _plain) -> list:
    _begin(t)
    nn, F = t.nn, t.nn.functional
    ids, n = _words(t)
    place = t.arange(0, 13.0).unsqueeze(1)
    rate = t.exp(t.arange(0, 8, 2) * (-math.log(10000.0) / 8))
    table = t.zeros(13, 8)
    table[:, 0::2], table[:, 1::2] = t.sin(place * rate), t.cos(place * rate)
    layer = nn.TransformerEncoderLayer(8, 2, 12, 0.1, batch_first=True, norm_first=True)
    embed, net, decode = nn.Embedding(n, 8), nn.TransformerEncoder(layer, 2), nn.Linear(8, n)
    weights = [*embed.parameters(), *net.parameters(), *decode.parameters()]
    optimizer = t.optim.AdamW(weights, lr=1e-2)
    schedule = t.optim.lr_scheduler.LambdaLR(optimizer, lambda s: min((s + 1) ** -0.5, s + 0.1))

    @wrap
    def step(x, y):
        mask = nn.Transformer.generate_square_subsequent_mask(x.size(1))
        h = net(embed(x) * math.sqrt(8) + table[: x.size(1)], mask=mask, is_causal=True)
        loss = F.cross_entropy(decode(h).transpose(1, 2), y, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 0.5)
        optimizer.step()
        schedule.step()
        return loss

    told = [step(ids.t()[:, :-1], ids.t()[:, 1:]).item() for _ in range(5)]
    return [*told, schedule.get_last_lr()]


def attention_over_packed(t: ModuleType, wrap: Wrap = _plain) -> list:
    _begin(t)
    nn, F = t.nn, t.nn.functional
    r = random.Random(0)
    pairs = [[r.randint(2, 7) for _ in range(r.randint(2, 5))] for _ in range(6)]
    pad = nn.utils.rnn.pad_sequence
    source = pad([t.tensor(p) for p in pairs], batch_first=True)
    lengths = t.tensor([len(p) for p in pairs])
    target = pad([t.tensor([1, *p[::-1]]) for p in pairs], batch_first=True)
    embed = nn.Embedding(8, 6, padding_idx=0)
    encoder = nn.LSTM(6, 6, batch_first=True, bidirectional=True)
    bridge, cell, out = nn.Linear(12, 6), nn.GRUCell(12, 6), nn.Linear(6, 8)
    query, key, score = nn.Linear(6, 6), nn.Linear(12, 6), nn.Linear(6, 1)
    parts = nn.ModuleList([embed, encoder, bridge, cell, out, query, key, score])
    optimizer = t.optim.Adam(parts.parameters(), 1e-2)

    @wrap
    def step(source, lengths, target):
        packed = nn.utils.rnn.pack_padded_sequence(
            embed(source), lengths, batch_first=True, enforce_sorted=False
        )
        states, (h, _) = encoder(packed)
        states, _ = nn.utils.rnn.pad_packed_sequence(states, batch_first=True)
        keys, mask = key(states), t.arange(states.size(1))[None] < lengths[:, None]
        h, words = bridge(t.cat([h[0], h[1]], 1)).tanh(), []
        for i in range(target.size(1) - 1):
            scores = score(t.tanh(query(h).unsqueeze(1) + keys)).squeeze(2)
            weights = F.softmax(scores.masked_fill(~mask, float("-inf")), dim=-1)
            context = t.bmm(weights.unsqueeze(1), keys).squeeze(1)
            h = cell(t.cat([embed(target[:, i]), context], 1), h)
            words.append(out(h))
        loss = F.cross_entropy(t.stack(words, 1).flatten(0, 1), target[:, 1:].flatten(),
                               ignore_index=0)  # fmt: skip
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss, weights

    told = []
    for _ in range(4):
        loss, weights = step(source, lengths, target)
        told.append(loss.item())
    return [*told, weights.tolist(), embed.weight.grad[0].tolist()]


def dqn(t: ModuleType, wrap: Wrap = _plain) -> list:
    """A walk on a line of seven places: 1 for the right end, 0 for the left."""
    _begin(t)
    nn = t.nn
    r = random.Random(0)
    policy, target = (nn.Sequential(nn.Linear(7, 12), nn.ReLU(), nn.Linear(12, 2)) for _ in "ab")
    target.load_state_dict(policy.state_dict())
    optimizer = t.optim.AdamW(policy.parameters(), lr=1e-2, amsgrad=True)
    memory, told, one = deque(maxlen=100), [], t.eye(7)

    @wrap
    def step(states, actions, rewards, nexts, alive):
        q = policy(states).gather(1, actions)
        with t.no_grad():
            best = target(nexts).max(1).values * alive
        loss = nn.SmoothL1Loss()(q, (rewards + 0.9 * best).unsqueeze(1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_value_(policy.parameters(), 0.5)
        optimizer.step()
        with t.no_grad():
            for kept, p in zip(target.parameters(), policy.parameters(), strict=True):
                kept.lerp_(p, 0.1)
        return loss

    for _ in range(6):
        place = 3
        while 0 < place < 6:
            with t.no_grad():
                greedy = policy(one[place : place + 1]).max(1).indices.item()
            action = greedy if r.random() > 0.4 else r.randrange(2)
            after = place + 2 * action - 1
            memory.append((place, action, float(after == 6), after, float(0 < after < 6)))
            place = after
        if len(memory) >= 16:
            s, a, w, n, alive = zip(*r.sample(list(memory), 16), strict=True)
            batch = (one[list(s)], t.tensor(a)[:, None], t.tensor(w), one[list(n)], t.tensor(alive))
            told.append(step(*batch).item())
    return [*told, len(memory), policy(one).tolist()]


def actor_critic(t: ModuleType, wrap: Wrap = _plain) -> list:
    _begin(t)
    nn, F = t.nn, t.nn.functional
    body, head, value = nn.Linear(3, 8), nn.Linear(8, 2), nn.Linear(8, 1)
    weights = [*body.parameters(), *head.parameters(), *value.parameters()]
    optimizer = t.optim.Adam(weights, lr=3e-2)

    @wrap
    def step(states, actions, returns):
        h = F.relu(body(states))
        policy = t.distributions.Categorical(logits=head(h))
        values = value(h).squeeze(1)
        advantage = returns - values.detach()
        loss = -(policy.log_prob(actions) * advantage).sum() - 0.01 * policy.entropy().sum()
        loss = loss + F.smooth_l1_loss(values, returns, reduction="sum")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    told = []
    for _ in range(4):
        states = t.randn(5, 3)
        with t.no_grad():
            policy = t.distributions.Categorical(F.softmax(head(body(states).relu()), dim=-1))
            actions = policy.sample()
        returns, total = [], 0.0
        for reward in (actions == (states[:, 0] > 0)).tolist()[::-1]:
            total = reward + 0.9 * total
            returns.insert(0, total)
        returns = t.tensor(returns)
        returns = (returns - returns.mean()) / (returns.std() + 1e-8)
        told += [actions.tolist(), step(states, actions, returns).item()]
    return told


def style_transfer(t: ModuleType, wrap: Wrap = _plain) -> list:
    _begin(t)
    nn, F = t.nn, t.nn.functional
    y, x = t.meshgrid(t.linspace(0, 1, 8), t.linspace(0, 1, 8), indexing="ij")
    content, style = (t.stack([(k * x).sin(), (k * y).cos(), x * y])[None] for k in (2.0, 5.0))
    net = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.ReLU())
    net.eval().requires_grad_(False)
    seen = {}
    handles = [
        module.register_forward_hook(lambda m, a, out, name=name: seen.__setitem__(name, out))
        for name, module in net.named_children()
    ]

    def features(image):
        net(image)
        a, b, c, d = seen["1"].shape
        flat = seen["1"].view(a * b, c * d)
        return t.mm(flat, flat.t()).div(a * b * c * d), seen["3"]

    gram, wanted = features(style)[0], features(content)[1]
    image = content.clone().requires_grad_(True)
    optimizer = t.optim.LBFGS([image], lr=0.5, max_iter=6)
    told = []

    @wrap
    def losses():
        optimizer.zero_grad()
        found, kept = features(image)
        loss = F.mse_loss(found, gram) * 100 + F.mse_loss(kept, wanted)
        loss.backward()
        return loss

    def closure():
        with t.no_grad():
            image.clamp_(0, 1)
        loss = losses()
        told.append(loss.item())
        return loss

    for _ in range(2):
        optimizer.step(closure)
    for handle in handles:
        handle.remove()
    return [*told, len(net[0]._forward_hooks)]


def spatial_transformer(t: ModuleType, wrap: Wrap = _plain) -> list:
    # It begins beside the identity, at which every sample lies on a kink of the interpolation.
    _begin(t)
    nn, F = t.nn, t.nn.functional
    x, y = map(t.from_numpy, _digits(8))
    places = nn.Sequential(nn.Conv2d(1, 3, 5), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten())
    to_theta = nn.Linear(48, 6)
    to_theta.weight.data.mul_(0.1)
    to_theta.bias.data.copy_(t.tensor([0.9, 0.1, 0.05, -0.1, 0.8, 0.07]))
    read = nn.Sequential(nn.Flatten(), nn.Linear(144, 4))
    net = nn.ModuleList([places, to_theta, read])
    optimizer = t.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, nesterov=True)

    @wrap
    def step(x, y):
        theta = to_theta(places(x)).view(-1, 2, 3)
        grid = F.affine_grid(theta, x.size(), align_corners=False)
        seen = F.grid_sample(x, grid, align_corners=False, padding_mode="border")
        loss = F.cross_entropy(read(seen), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss, to_theta.bias.grad.norm()

    return [[v.item() for v in step(x, y)] for _ in range(4)]


def graph_attention(t: ModuleType, wrap: Wrap = _plain) -> list:
    _begin(t)
    nn, F = t.nn, t.nn.functional
    adjacent = t.rand(10, 10) < 0.25
    adjacent = (adjacent | adjacent.T).fill_diagonal_(True)
    row, column = adjacent.nonzero().t()
    x, y, known = t.randn(10, 4), t.arange(10) % 3, t.rand(10) < 0.6
    lin, a, out = nn.Linear(4, 6, bias=False), nn.Parameter(t.randn(2, 6) * 0.3), nn.Linear(6, 3)
    optimizer = t.optim.Adam([*lin.parameters(), a, *out.parameters()], lr=0.05, weight_decay=5e-4)
    known = known.nonzero().squeeze(1)

    @wrap
    def step(x, y):
        z = lin(x).view(-1, 2, 3)
        e = F.leaky_relu((t.cat([z[row], z[column]], -1) * a).sum(-1), 0.2)
        highest = t.full((10, 2), -float("inf"))
        highest = highest.scatter_reduce(0, row[:, None].expand(-1, 2), e.detach(), "amax")
        e = (e - highest[row]).exp()
        share = e / t.zeros(10, 2).index_add_(0, row, e)[row]
        h = t.zeros(10, 2, 3).index_add_(0, row, share[..., None] * z[column]).flatten(1)
        degree = t.zeros(10).scatter_add_(0, row, t.ones(row.numel()))
        weight = (degree[row] * degree[column]).rsqrt()
        h = t.zeros_like(h).index_add(0, row, F.elu(h)[column] * weight[:, None])
        loss = F.nll_loss(F.log_softmax(out(F.dropout(h, 0.3)), 1)[known], y[known])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return [row.numel(), *[step(x, y).item() for _ in range(4)]]


def own_gradient(t: ModuleType, wrap: Wrap = _plain) -> list:
    _begin(t)

    class Legendre(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return 0.5 * (5 * x**3 - 3 * x)

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return grad * 1.5 * (5 * x**2 - 1)

    x = t.linspace(-math.pi, math.pi, 50)
    y = t.sin(x)
    weights = [t.full((), v, requires_grad=True) for v in (0.0, -1.0, 0.0, 0.3)]

    @wrap
    def step(x, y):
        a, b, c, d = weights
        loss = (a + b * Legendre.apply(c + d * x) - y).pow(2).sum()
        loss.backward()
        with t.no_grad():
            for w in weights:
                w -= 5e-4 * w.grad
                w.grad = None
        return loss

    told = [step(x, y).item() for _ in range(5)]
    z = x[:3].clone().requires_grad_()
    (once,) = t.autograd.grad(Legendre.apply(z).sum(), z, create_graph=True)
    (twice,) = t.autograd.grad(once.sum(), z)
    return [*told, once.tolist(), twice.tolist()]


def ensemble(t: ModuleType, wrap: Wrap = _plain) -> list:
    """Three models at once, gradients of each example, two steps of learning to learn."""
    _begin(t)
    nn, F, func = t.nn, t.nn.functional, t.func
    nets = [nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)) for _ in range(3)]
    weights, buffers = func.stack_module_state(nets)
    base = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).to("meta")
    x, y = t.randn(4, 3), t.randint(0, 2, (4,))

    def loss_of(weights, x, y):
        out = func.functional_call(base, (weights, buffers), (x,))
        return F.cross_entropy(out, y)

    @wrap
    def step(x, y):
        grads, losses = func.vmap(func.grad_and_value(loss_of), in_dims=(0, None, None))(
            weights, x, y
        )
        with t.no_grad():
            for name, w in weights.items():
                w -= 0.5 * grads[name]
        return losses

    told = [step(x, y).tolist() for _ in range(4)]
    one = {k: v[0].detach() for k, v in weights.items()}
    each = func.vmap(func.grad(loss_of), in_dims=(None, 0, 0))(one, x[:, None], y[:, None])
    rows = func.jacrev(lambda w: func.functional_call(nets[0], w, (x[0],)))(one)

    def adapted(weights, x, y):
        grads = func.grad(loss_of)(weights, x, y)
        return loss_of({k: v - 0.1 * grads[k] for k, v in weights.items()}, x, y)

    meta = func.grad(adapted)(one, x, y)
    return [told, *[[v.norm().item() for v in d.values()] for d in (each, rows, meta)]]


def parametrized(t: ModuleType, wrap: Wrap = _plain) -> list:
    _begin(t)
    nn, parametrizations = t.nn, t.nn.utils.parametrizations
    prune = importlib.import_module(f"{t.__name__}.nn.utils.prune")
    net = nn.Sequential(
        parametrizations.weight_norm(nn.Linear(6, 8)), nn.Tanh(),
        parametrizations.spectral_norm(nn.Linear(8, 8)), nn.GELU(), nn.Linear(8, 1),
    )  # fmt: skip
    prune.l1_unstructured(net[4], "weight", amount=0.5)
    optimizer = t.optim.NAdam(net.parameters(), lr=1e-2)

    @wrap
    def step(x):
        optimizer.zero_grad()
        loss = (net(x) - x.sum(1, keepdim=True)).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    told = [step(t.randn(8, 6)).item() for _ in range(5)]
    prune.remove(net[4], "weight")
    return [*told, list(net.state_dict()), int((net[4].weight == 0).sum())]


def checkpointed(t: ModuleType, wrap: Wrap = _plain) -> list:
    _begin(t)
    nn = t.nn
    checkpoint = t.utils.checkpoint.checkpoint
    blocks = nn.Sequential(
        *[nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Dropout(0.3)) for _ in range(3)]
    )
    optimizer = t.optim.SGD(blocks.parameters(), lr=0.1)
    scaler = t.amp.GradScaler("cpu", init_scale=64.0, growth_interval=2)

    @wrap
    def step(x):
        optimizer.zero_grad()
        loss = checkpoint(blocks, x, use_reentrant=False).square().mean()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        norm = nn.utils.clip_grad_norm_(blocks.parameters(), 0.1)
        scaler.step(optimizer)
        scaler.update()
        return loss, norm

    return [*[[v.item() for v in step(t.randn(5, 6))] for _ in range(5)], scaler.get_scale()]
