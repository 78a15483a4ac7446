"""Small real programs on libraries that stand on PyTorch; each returns a few numbers.

    flambeau run tests/packages/programs.py NAME ...     under flambeau
    python tests/packages/programs.py NAME ...           under PyTorch

One line of JSON for each: the name, the library's version, and the numbers or the error.
"""

import importlib.metadata
import json
import os
import sys
import tempfile
import warnings

import numpy as np
import torch
from torch import nn

warnings.filterwarnings("ignore")
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
RNG = np.random.default_rng(0)
IDS = torch.tensor(np.random.default_rng(0).integers(3, 97, (2, 10)))


def reals(*shape):
    return torch.tensor(np.random.default_rng(1).normal(size=shape).astype("f"))


def train(model, loss, steps=3, optimizer=None):
    optimizer = optimizer or torch.optim.AdamW(model.parameters(), 1e-3)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses


def transformers():
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=99, n_embd=32, n_layer=2, n_head=4, n_positions=64, bos_token_id=0,
        eos_token_id=98,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    losses = train(model, lambda: model(IDS, labels=IDS).loss)
    model.eval()
    torch.manual_seed(1)
    text = model.generate(IDS[:, :4], max_new_tokens=8, do_sample=True, top_k=20)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        again = GPT2LMHeadModel.from_pretrained(folder).eval()
    return [*losses, text.tolist(), bool(torch.equal(again(IDS).logits, model(IDS).logits))]


def trainer():
    from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=99,
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=64,
        )  # fmt: skip
    )
    rows = [{"input_ids": IDS[i % 2], "labels": i % 2} for i in range(8)]
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, max_steps=4, per_device_train_batch_size=4, report_to=[], disable_tqdm=True,
            use_cpu=True, seed=0, logging_strategy="no", save_strategy="no",
        )  # fmt: skip
        return [Trainer(model, arguments, train_dataset=rows).train().training_loss]


def accelerate():
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    data = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(reals(8, 3)), batch_size=4, shuffle=True
    )
    model, optimizer, data = accelerator.prepare(model, optimizer, data)
    losses = []
    for (x,) in data:
        loss = model(x).square().mean()
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(accelerator.gather(loss.detach()).item())
    return losses


def lightning():
    import lightning.pytorch as pl

    class Toy(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
            self.seen = []

        def training_step(self, batch, index):
            x, y = batch
            loss = nn.functional.cross_entropy(self.net(x), y)
            self.log("loss", loss)
            self.seen.append(loss.item())
            return loss

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), 0.01)

    data = torch.utils.data.TensorDataset(reals(16, 4), torch.arange(16) % 2)
    model = Toy()
    with tempfile.TemporaryDirectory() as folder:
        trainer = pl.Trainer(
            max_epochs=2, accelerator="cpu", logger=False, enable_progress_bar=False,
            enable_model_summary=True, default_root_dir=folder, devices=1,
        )  # fmt: skip
        trainer.fit(model, torch.utils.data.DataLoader(data, batch_size=8, shuffle=True))
        trainer.save_checkpoint(f"{folder}/x.ckpt")
        again = Toy.load_from_checkpoint(f"{folder}/x.ckpt")
    same = all(torch.equal(a, b) for a, b in zip(again.parameters(), model.parameters()))
    return [*model.seen, same]


def einops():
    from einops import rearrange, reduce, repeat
    from einops.layers.torch import Rearrange

    x = reals(2, 3, 4, 6).requires_grad_()
    y = rearrange(x, "b c (h p) (w q) -> b (h w) (p q c)", p=2, q=3)
    z = Rearrange("b n d -> b d n")(y)
    total = reduce(z, "b d n -> b", "max").sum() + repeat(x, "b c h w -> b c h w r", r=2).mean()
    total.backward()
    return [total.item(), x.grad.sum().item(), list(z.shape)]


def timm():
    import timm

    vit = timm.create_model(
        "vit_tiny_patch16_224", img_size=32, num_classes=3, depth=2, embed_dim=48, num_heads=4
    )
    net = timm.create_model("resnet10t", num_classes=3)
    x, y = reals(2, 3, 32, 32), torch.tensor([0, 2])
    return [
        *train(vit, lambda: nn.functional.cross_entropy(vit(x), y)),
        *train(net, lambda: nn.functional.cross_entropy(net(x), y), 1),
    ]


def torchvision():
    from torchvision.models import resnet18
    from torchvision.transforms import v2

    net = resnet18(num_classes=3)
    x, y = reals(4, 3, 64, 64), torch.tensor([0, 2, 1, 0])
    image = torch.tensor(np.random.default_rng(0).random((3, 20, 20), dtype="f"))
    change = v2.Compose([
        v2.RandomHorizontalFlip(), v2.Resize((16, 16)), v2.ToDtype(torch.float32, scale=True),
        v2.Normalize([0.5] * 3, [0.25] * 3),
    ])  # fmt: skip
    return [
        *train(net, lambda: nn.functional.cross_entropy(net(x), y), 1),
        change(image).mean().item(),
    ]


def torchmetrics():
    from torchmetrics import AUROC, Accuracy, ConfusionMatrix, F1Score, MeanSquaredError

    logits, y = reals(20, 3), torch.arange(20) % 3
    how = {"task": "multiclass", "num_classes": 3}
    found = [M(**how)(logits.softmax(1), y) for M in (Accuracy, F1Score, AUROC, ConfusionMatrix)]
    return [v.tolist() for v in found] + [MeanSquaredError()(logits, logits * 2).item()]


def torchinfo():
    from torchinfo import summary

    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    found = summary(net, (1, 1, 8, 8), verbose=0)
    return [found.total_params, found.total_mult_adds, str(found)]


def gpytorch():
    import gpytorch as gp

    class Model(gp.models.ExactGP):
        def __init__(self, x, y, likelihood):
            super().__init__(x, y, likelihood)
            self.mean_module = gp.means.ConstantMean()
            self.covar_module = gp.kernels.ScaleKernel(gp.kernels.RBFKernel())

        def forward(self, x):
            return gp.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))

    x = torch.linspace(0, 1, 20)
    y = torch.sin(x * 6) + reals(20) * 0.1
    likelihood = gp.likelihoods.GaussianLikelihood()
    model = Model(x, y, likelihood)
    mll = gp.mlls.ExactMarginalLogLikelihood(likelihood, model)
    losses = train(model, lambda: -mll(model(x), y), 4, torch.optim.Adam(model.parameters(), 0.1))
    model.eval()
    likelihood.eval()
    with torch.no_grad():
        out = likelihood(model(torch.linspace(0, 1, 5)))
    return [*losses, out.mean.tolist(), out.variance.tolist()]


def pyro():
    import pyro
    import pyro.distributions as dist
    from pyro.infer import SVI, Trace_ELBO
    from pyro.infer.autoguide import AutoNormal

    data = reals(20) * 0.5 + 2

    def model():
        mean = pyro.sample("mean", dist.Normal(0.0, 5.0))
        with pyro.plate("data", 20):
            pyro.sample("x", dist.Normal(mean, 0.5), obs=data)

    pyro.clear_param_store()
    pyro.set_rng_seed(0)
    svi = SVI(model, AutoNormal(model), pyro.optim.Adam({"lr": 0.1}), Trace_ELBO())
    return [svi.step() for _ in range(5)]


def torchdiffeq():
    from torchdiffeq import odeint

    a = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]], requires_grad=True)
    y = odeint(lambda t, y: y @ a, torch.tensor([2.0, 0.0]), torch.linspace(0, 2, 5))
    y.square().sum().backward()
    return [y.tolist(), a.grad.tolist()]


def x_transformers():
    from x_transformers import Decoder, TransformerWrapper

    net = TransformerWrapper(
        num_tokens=99, max_seq_len=16, attn_layers=Decoder(dim=32, depth=2, heads=4)
    )
    return train(net, lambda: nn.functional.cross_entropy(net(IDS).transpose(1, 2), IDS))


def lion_pytorch():
    from lion_pytorch import Lion

    net = nn.Linear(4, 1)
    return train(net, lambda: net(reals(8, 4)).square().mean(), 4, Lion(net.parameters(), 1e-2))


def ema_pytorch():
    from ema_pytorch import EMA

    net = nn.Linear(4, 1)
    ema = EMA(net, beta=0.9, update_after_step=0, update_every=1)
    for _ in range(4):
        with torch.no_grad():
            net.weight.add_(1)
        ema.update()
    return ema.ema_model.weight.tolist()


def vector_quantize_pytorch():
    from vector_quantize_pytorch import FSQ, VectorQuantize

    net = VectorQuantize(dim=8, codebook_size=16, decay=0.8)
    x = reals(1, 32, 8)
    quantized, indices, loss = net(x)
    codes = FSQ([8, 5, 5])(reals(1, 10, 3))[1]
    return [quantized.sum().item(), indices.tolist(), loss.item(), codes.tolist()]


def denoising_diffusion_pytorch():
    from denoising_diffusion_pytorch import GaussianDiffusion, Unet

    net = GaussianDiffusion(Unet(dim=8, dim_mults=(1, 2)), image_size=8, timesteps=10)
    x = torch.rand(2, 3, 8, 8)
    losses = train(net, lambda: net(x), 2)
    return [*losses, net.sample(batch_size=1).mean().item()]


def ignite():
    from ignite.engine import Events, create_supervised_evaluator, create_supervised_trainer
    from ignite.metrics import Accuracy, Loss

    net = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    data = [(reals(8, 4), torch.arange(8) % 2)] * 3
    engine = create_supervised_trainer(net, optimizer, nn.functional.cross_entropy)
    losses = []
    engine.on(Events.ITERATION_COMPLETED)(lambda e: losses.append(e.state.output))
    engine.run(data, max_epochs=2)
    metrics = {"a": Accuracy(), "l": Loss(nn.functional.cross_entropy)}
    found = create_supervised_evaluator(net, metrics=metrics)
    found.run(data)
    return [*losses, found.state.metrics["a"], found.state.metrics["l"]]


def skorch():
    from skorch import NeuralNetClassifier

    class Net(nn.Module):
        def __init__(self, width=8):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))

        def forward(self, x):
            return self.net(x).softmax(-1)

    x = np.random.default_rng(0).normal(size=(40, 4)).astype("f")
    y = (x[:, 0] > 0).astype("int64")
    net = NeuralNetClassifier(Net, max_epochs=3, lr=0.5, verbose=0).fit(x, y)
    return [net.history[:, "train_loss"], float(net.score(x, y))]


def captum():
    from captum.attr import IntegratedGradients, Saliency

    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    x = reals(2, 4)
    return [IntegratedGradients(net).attribute(x, target=1).tolist(),
            Saliency(net).attribute(x, target=1).tolist()]  # fmt: skip


def torch_geometric():
    from torch_geometric.data import Batch, Data
    from torch_geometric.nn import GATConv, GCNConv, SAGEConv, global_mean_pool

    edges = torch.tensor([[0, 1, 1, 2, 3, 0], [1, 0, 2, 1, 0, 3]])
    batch = Batch.from_data_list([Data(x=reals(4, 5), edge_index=edges)] * 2)
    one, two, three = GCNConv(5, 8), GATConv(8, 4, heads=2), SAGEConv(8, 2)
    net = nn.ModuleList([one, two, three])

    def loss():
        h = one(batch.x, batch.edge_index).relu()
        h = three(two(h, batch.edge_index).relu(), batch.edge_index)
        return global_mean_pool(h, batch.batch).square().sum()

    return train(net, loss)


def stable_baselines3():
    from gymnasium.envs.classic_control import CartPoleEnv
    from gymnasium.wrappers import TimeLimit
    from stable_baselines3 import PPO

    model = PPO("MlpPolicy", TimeLimit(CartPoleEnv(), 100), n_steps=64, seed=0, device="cpu")
    model.learn(128)
    return [sum(p.double().sum().item() for p in model.policy.parameters())]


def peft():
    from peft import LoraConfig, get_peft_model

    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    model = get_peft_model(net, LoraConfig(r=2, target_modules=["0", "2"]))
    x = reals(8, 4)
    losses = train(model, lambda: model(x).square().mean())
    return [*losses, model.merge_and_unload()(x).sum().item()]


def higher():
    import higher

    net = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    x = reals(5, 3)
    with higher.innerloop_ctx(net, optimizer, copy_initial_weights=False) as (fast, inner):
        for _ in range(2):
            inner.step(fast(x).square().mean())
        loss = fast(x * 2).square().mean()
        loss.backward()
    return [loss.item(), net.weight.grad.tolist()]


def torch_optimizer():
    import torch_optimizer as other

    results = []
    for name in ("RAdam", "Yogi", "Lamb", "AdaBound", "DiffGrad"):
        torch.manual_seed(0)
        net = nn.Linear(4, 1)
        results += train(
            net, lambda: net(reals(8, 4)).square().mean(), 3,  # noqa: B023
            getattr(other, name)(net.parameters(), lr=1e-2),
        )  # fmt: skip
    return results


def pytorch_metric_learning():
    from pytorch_metric_learning import losses, miners

    x, y = reals(12, 6).requires_grad_(), torch.arange(12) % 3
    loss = losses.TripletMarginLoss()(x, y, miners.MultiSimilarityMiner()(x, y))
    loss = loss + losses.NTXentLoss()(x, y) + losses.ArcFaceLoss(3, 6)(x, y)
    loss.backward()
    return [loss.item(), x.grad.abs().sum().item()]


def kornia():
    import kornia

    x = torch.rand(1, 3, 12, 12).requires_grad_()
    y = kornia.filters.gaussian_blur2d(x, (3, 3), (1.5, 1.5))
    y = kornia.geometry.rotate(kornia.color.rgb_to_hsv(y), torch.tensor([30.0]))
    (y.sum() + kornia.losses.ssim_loss(x, x.flip(3), 5)).backward()
    return [y.sum().item(), x.grad.abs().sum().item()]


def monai():
    from monai.losses import DiceLoss
    from monai.networks.nets import UNet

    net = UNet(spatial_dims=2, in_channels=1, out_channels=2, channels=(4, 8, 16), strides=(2, 2))
    x, y = reals(1, 1, 16, 16), (reals(1, 1, 16, 16) > 0).float()
    loss = DiceLoss(to_onehot_y=True, softmax=True)
    return train(net, lambda: loss(net(x), y))


def jaxtyping():
    from jaxtyping import Float

    return [isinstance(reals(2, 3), Float[torch.Tensor, "a b"]),
            isinstance(reals(2), Float[torch.Tensor, "a b"])]  # fmt: skip


PACKAGES = {
    "trainer": "transformers", "lightning": "lightning", "pyro": "pyro-ppl",
    "ignite": "pytorch-ignite",
}  # fmt: skip
NAMES = (
    "transformers trainer lightning einops timm torchvision torchmetrics accelerate torchinfo "
    "gpytorch pyro torchdiffeq x_transformers lion_pytorch ema_pytorch vector_quantize_pytorch "
    "denoising_diffusion_pytorch ignite skorch captum torch_geometric stable_baselines3 peft "
    "higher torch_optimizer pytorch_metric_learning kornia monai jaxtyping"
).split()


def main(names):
    for name in names:
        line = {"name": name}
        try:
            line["version"] = importlib.metadata.version(PACKAGES.get(name, name))
            torch.manual_seed(0)
            line["numbers"] = globals()[name]()
        except Exception as error:
            line["error"] = f"{type(error).__name__}: {error}"[:300]
            if os.environ.get("SHOW"):
                import traceback

                traceback.print_exc()
        print("\n" + json.dumps(line), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or NAMES)
