"""Hooks of all modules at once."""

from __future__ import annotations

from collections.abc import Callable

from ...core.modes import Edits
from ...core.tape import Handle, add_hook

forward_pre: dict = {}
forward: dict = {}
forward_with_kwargs: dict = {}
forward_always: dict = {}
backward: dict = {}
backward_pre: dict = {}
parameters: dict = {}
buffers: dict = {}
modules: dict = {}
Edits.tables += [forward_pre, forward, backward, backward_pre]


#: Who looks on while modules are called: ``begin(module)`` and ``end(module)``, whatever happens.
watchers: list = []


def any_hooks() -> bool:
    """Whether there is a hook that a call has to run."""
    return bool(forward or forward_pre or backward or backward_pre)


def any_of_calls() -> bool:
    """Whether there is a hook, or somebody who looks on."""
    return bool(watchers or forward or forward_pre or backward or backward_pre)


def register_module_forward_pre_hook(hook: Callable) -> Handle:
    """Call ``hook(module, args)`` before the forward of every module."""
    return add_hook(forward_pre, hook)


def register_module_forward_hook(
    hook: Callable, *, with_kwargs: bool = False, always_call: bool = False
) -> Handle:
    """Call ``hook(module, args, output)`` after the forward of every module."""
    handle = add_hook(forward, hook)
    if with_kwargs:
        forward_with_kwargs[handle.key] = True
    if always_call:
        forward_always[handle.key] = True
    return handle


def register_module_full_backward_hook(hook: Callable) -> Handle:
    """Call ``hook(module, grad_input, grad_output)`` in the backward of every module."""
    return add_hook(backward, hook)


def register_module_full_backward_pre_hook(hook: Callable) -> Handle:
    """Call ``hook(module, grad_output)`` before the backward of every module."""
    return add_hook(backward_pre, hook)


register_module_backward_hook = register_module_full_backward_hook


def register_module_parameter_registration_hook(hook: Callable) -> Handle:
    """Call ``hook(module, name, param)`` for every parameter; what it returns takes its place."""
    return add_hook(parameters, hook)


def register_module_buffer_registration_hook(hook: Callable) -> Handle:
    """Call ``hook(module, name, buffer)`` for every buffer; what it returns takes its place."""
    return add_hook(buffers, hook)


def register_module_module_registration_hook(hook: Callable) -> Handle:
    """Call ``hook(module, name, submodule)`` for every submodule; what it returns takes its
    place."""
    return add_hook(modules, hook)


def replaced(hooks: dict, module: object, name: str, value: object) -> object:
    """``value``, or what the last hook that returned something made of it."""
    for hook in hooks.values():
        changed = hook(module, name, value)
        if changed is not None:
            value = changed
    return value
