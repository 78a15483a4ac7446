"""A module's state as a dictionary of named tensors, out and in."""

from __future__ import annotations

import itertools
import warnings
from collections import OrderedDict, namedtuple
from collections.abc import Callable, Mapping
from typing import Any

from ...core.modes import no_grad
from ...core.tape import Handle, add_hook
from ...core.value import Value
from ..parameter import Parameter
from ._keys import advice

_EMPTY: dict = {}
#: Where ``get_extra_state`` stands in a state_dict, after the module's name.
_EXTRA_STATE_KEY_SUFFIX = "_extra_state"


class _IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What ``load_state_dict`` did not find, and what it had no use for."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


class StateMethods:
    """``state_dict`` and ``load_state_dict``."""

    _version = 1

    def get_extra_state(self) -> Any:
        """More state than tensors, for the state_dict. To be overridden, with set_extra_state."""
        raise RuntimeError(
            "Reached a code path in Module.get_extra_state() that should never be called."
        )

    def set_extra_state(self, state: Any) -> None:
        """Take back what ``get_extra_state`` gave."""
        raise RuntimeError(
            "Reached a code path in Module.set_extra_state() that should never be called."
        )

    def _has_extra_state(self) -> bool:
        return type(self).get_extra_state is not StateMethods.get_extra_state

    # ---- out -------------------------------------------------------------------------------

    def state_dict(
        self,
        *args: Any,
        destination: dict | None = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> dict[str, Any]:
        """All parameters and persistent buffers by dotted name, detached unless ``keep_vars``.

        The tensors share memory with the module.
        """
        if args:  # the old positional form
            destination = args[0]
            prefix = args[1] if len(args) > 1 else prefix
            keep_vars = args[2] if len(args) > 2 else keep_vars
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = metadata
        for hook in self.__dict__.get("_state_dict_pre_hooks", _EMPTY).values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(
                    destination=destination, prefix=prefix + name + ".", keep_vars=keep_vars
                )
        for hook in self.__dict__.get("_state_dict_hooks", _EMPTY).values():
            changed = hook(self, destination, prefix, metadata)
            if changed is not None:
                destination = changed
        return destination

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        for name, p in self._parameters.items():
            if p is not None:
                destination[prefix + name] = p if keep_vars else p.detach()
        for name, b in self._buffers.items():
            if b is not None and name not in self._non_persistent_buffers_set:
                destination[prefix + name] = b if keep_vars else b.detach()
        if self._has_extra_state():
            destination[prefix + _EXTRA_STATE_KEY_SUFFIX] = self.get_extra_state()

    def register_state_dict_pre_hook(self, hook: Callable) -> Handle:
        """Call ``hook(module, prefix, keep_vars)`` before ``state_dict`` collects."""
        return add_hook(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Callable) -> Handle:
        """Call ``hook(module, state_dict, prefix, local_metadata)`` after it; changes in place."""

        def checked(*args: Any) -> None:
            if hook(*args) is not None:
                raise RuntimeError(
                    f"state_dict post-hook must return None\n  {hook} returned something: change "
                    "the state_dict it is given in place"
                )

        return add_hook(self._state_dict_hooks, checked)

    def _register_state_dict_hook(self, hook: Callable) -> Handle:
        return add_hook(self._state_dict_hooks, hook)

    # ---- in --------------------------------------------------------------------------------

    def register_load_state_dict_pre_hook(self, hook: Callable) -> Handle:
        """Call ``hook(module, state_dict, prefix, metadata, strict, missing, unexpected, errors)``
        before this module loads."""
        table = self._load_state_dict_pre_hooks
        return add_hook(table, lambda *args: hook(self, *args))

    def _register_load_state_dict_pre_hook(
        self, hook: Callable, with_module: bool = False
    ) -> Handle:
        if with_module:
            return self.register_load_state_dict_pre_hook(hook)
        return add_hook(self._load_state_dict_pre_hooks, hook)

    def register_load_state_dict_post_hook(self, hook: Callable) -> Handle:
        """Call ``hook(module, incompatible_keys)`` after this module has loaded."""
        return add_hook(self._load_state_dict_post_hooks, hook)

    def _load_from_state_dict(
        self,
        state_dict: dict,
        prefix: str,
        local_metadata: dict,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        for hook in self.__dict__.get("_load_state_dict_pre_hooks", _EMPTY).values():
            hook(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys,
                 error_msgs)  # fmt: skip
        assign = local_metadata.get("assign_to_params_buffers", False)
        persistent = {
            k: b for k, b in self._buffers.items() if k not in self._non_persistent_buffers_set
        }
        own = itertools.chain(self._parameters.items(), persistent.items())
        for name, tensor in own:
            key = prefix + name
            if tensor is None:
                continue
            if key not in state_dict:
                if strict:
                    missing_keys.append(key)
                continue
            self._load_one(name, key, tensor, state_dict[key], assign, error_msgs)
        if self._has_extra_state():
            key = prefix + _EXTRA_STATE_KEY_SUFFIX
            if key in state_dict:
                self.set_extra_state(state_dict[key])
            elif strict:
                missing_keys.append(key)
        if strict:
            self._find_unexpected(state_dict, prefix, unexpected_keys)

    def _load_one(
        self, name: str, key: str, tensor: Value, given: Any, assign: bool, errors: list[str]
    ) -> None:
        if not isinstance(given, Value):
            errors.append(
                f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like '
                f"object from checkpoint but received {type(given)}"
            )
            return
        if tensor.dim() == 0 and tuple(given.shape) == (1,):
            given = given[0]
        if given.shape != tensor.shape:
            errors.append(
                f"size mismatch for {key}: copying a param with shape {given.shape} from "
                f"checkpoint, the shape in current model is {tensor.shape}."
            )
            return
        if assign:
            if isinstance(tensor, Parameter):
                if not isinstance(given, Parameter):
                    given = Parameter(given, requires_grad=tensor.requires_grad)
                else:
                    given.requires_grad_(tensor.requires_grad)
            setattr(self, name, given)
            return
        if tensor.is_meta and not given.is_meta:  # to say so is all that is left
            warnings.warn(
                f"for {key}: copying from a non-meta parameter in the checkpoint to a meta "
                "parameter in the current model, which is a no-op. (Did you mean to pass "
                "`assign=True` to assign items in the state dictionary to their corresponding key "
                "in the module instead of copying them in place?)",
                stacklevel=2,
            )
        try:
            with no_grad():
                tensor.copy_(given)
        except Exception as error:
            errors.append(
                f'While copying the parameter named "{key}", whose dimensions in the model are '
                f"{tensor.size()} and whose dimensions in the checkpoint are {given.size()}, an "
                f"exception occurred : {tuple(str(error).splitlines()[:1])}."
            )

    def _find_unexpected(
        self, state_dict: Mapping, prefix: str, unexpected_keys: list[str]
    ) -> None:
        extra = prefix + _EXTRA_STATE_KEY_SUFFIX
        for key in state_dict:
            if not key.startswith(prefix) or key == extra:
                if key == extra and not self._has_extra_state():
                    unexpected_keys.append(key)
                continue
            first, *rest = key[len(prefix) :].split(".", 1)
            if rest:
                if first not in self._modules:
                    unexpected_keys.append(key)
            elif first not in self._parameters and (
                first not in self._buffers or first in self._non_persistent_buffers_set
            ):
                unexpected_keys.append(key)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _IncompatibleKeys:
        """Copy the tensors of ``state_dict`` into this module's, by name.

        ``strict``: RuntimeError for missing and unexpected keys. ``assign``: take the tensors
        themselves instead of their values. Returns the keys that did not match.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        missing: list[str] = []
        unexpected: list[str] = []
        errors: list[str] = []
        metadata = getattr(state_dict, "_metadata", None)
        state_dict = OrderedDict(state_dict)
        if metadata is not None:
            state_dict._metadata = metadata

        def load(module: Any, local: dict, prefix: str = "") -> None:
            local_metadata = {} if metadata is None else metadata.get(prefix[:-1], {})
            if assign:
                local_metadata["assign_to_params_buffers"] = True
            module._load_from_state_dict(
                local, prefix, local_metadata, True, missing, unexpected, errors
            )
            for name, child in module._modules.items():
                if child is not None:
                    below = prefix + name + "."
                    load(child, {k: v for k, v in local.items() if k.startswith(below)}, below)
            keys = _IncompatibleKeys(missing, unexpected)
            for hook in module.__dict__.get("_load_state_dict_post_hooks", _EMPTY).values():
                if hook(module, keys) is not None:
                    raise RuntimeError(
                        "Hooks registered with ``register_load_state_dict_post_hook`` are not "
                        "expected to return new values, if incompatible_keys need to be modified, "
                        "it should be done inplace."
                    )

        load(self, state_dict)
        if strict:
            if unexpected:
                keys = ", ".join(f'"{k}"' for k in unexpected)
                errors.insert(0, f"Unexpected key(s) in state_dict: {keys}. ")
            if missing:
                keys = ", ".join(f'"{k}"' for k in missing)
                errors.insert(0, f"Missing key(s) in state_dict: {keys}. ")
        if errors:
            listed = "\n\t".join(errors)
            text = f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{listed}"
            raise RuntimeError(text + self._advice(unexpected, state_dict))
        if missing and unexpected and not strict:
            self._note_if_nothing_fits(missing, unexpected, state_dict)
        return _IncompatibleKeys(missing, unexpected)

    def _advice(self, unexpected: list[str], given: Mapping) -> str:
        tensors: dict = {}
        for name, module in self.named_modules(remove_duplicate=False):  # no hook is to see this
            module._save_to_state_dict(tensors, name + "." if name else "", keep_vars=True)
        own = {k: tuple(getattr(v, "shape", ())) for k, v in tensors.items()}
        # Some layers load without a key that they have: it is missing here all the same.
        return advice([k for k in own if k not in given], unexpected, own, given)

    def _note_if_nothing_fits(
        self, missing: list[str], unexpected: list[str], given: Mapping
    ) -> None:
        """A warning where ``strict=False`` has loaded nothing at all: that is hardly meant."""
        if len(unexpected) < len(given):
            return
        warnings.warn(
            f"load_state_dict(strict=False) has loaded nothing into {type(self).__name__}: none "
            f"of the {len(given)} keys is known, for example {unexpected[0]!r}, where "
            f"{missing[0]!r} is wanted" + self._advice(unexpected, given),
            stacklevel=3,
        )
