"""Other libraries' steps, for ``--against``: torch.compile, onnxruntime, JAX and TensorFlow, where they are installed.

All build their network from minicnn's layers. JAX and TensorFlow have no option for the number of threads that holds
for every operation; they are kept to as many cores.
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import facts, networks
from minicnn import nn

__all__ = ["OTHERS", "jax_step", "onnxruntime_step", "tensorflow_step", "torch_compile_step"]

Step = Callable[[], Any]


def torch_compile_step(
    network: networks.Name, batch: int, threads: int, forward_only: bool
) -> tuple[Step, dict[str, Any]]:
    """PyTorch with its compiler, which fuses operations into C++."""
    import torch

    said = {**facts.torch_facts(threads), "libraries_bytes": facts.resident_bytes()}
    images, labels = (torch.from_numpy(array) for array in networks.batch_of(network, batch))
    model = networks.torch_twin(network)
    if forward_only:
        compiled = torch.compile(model.eval())

        def look() -> float:
            with torch.inference_mode():
                return float(compiled(images)[0, 0])

        return look, said
    optimizer = torch.optim.SGD(model.parameters(), **networks.SGD)
    loss_of = torch.compile(lambda x, y: torch.nn.functional.cross_entropy(model(x), y))

    def step() -> float:
        optimizer.zero_grad()
        loss = loss_of(images, labels)
        loss.backward()
        optimizer.step()
        return float(loss.item())

    return step, said


def onnxruntime_step(
    network: networks.Name, batch: int, threads: int, forward_only: bool
) -> tuple[Step, dict[str, Any]]:
    """onnxruntime on minicnn's own export; it only predicts."""
    import onnxruntime

    from minicnn.models.onnx_export import onnx_model

    if not forward_only:
        raise ValueError("benchmarks: onnxruntime only predicts; add --forward-only")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    said = {"version": onnxruntime.__version__, "used_threads": threads, **_own()}
    images, _ = networks.batch_of(network, batch)
    exported = onnx_model(networks.built(network), images.shape[1:])
    session = onnxruntime.InferenceSession(exported.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: images}
    return lambda: float(session.run(None, feed)[0][0, 0]), said


# --- JAX ----------------------------------------------------------------------------------------------------------


def jax_step(network: networks.Name, batch: int, threads: int, forward_only: bool) -> tuple[Step, dict[str, Any]]:
    """JAX: the whole step is one function that XLA compiles."""
    _keep_to(threads)
    import jax
    import jax.numpy as jnp

    said = {"version": jax.__version__, "used_threads": threads, **_own()}
    images, labels = map(jnp.asarray, networks.batch_of(network, batch))
    layers, weights = _layers_and_weights(network)
    weights = jax.tree.map(jnp.asarray, weights)

    def scores(weights: Any, x: Any, key: Any) -> Any:
        for position, layer in enumerate(layers):
            key, own = jax.random.split(key)
            x = _jax_layer(layer, weights.get(str(position)), x, own, training=not forward_only)
        return x

    if forward_only:
        look = jax.jit(lambda weights, x: scores(weights, x, jax.random.key(0))[0, 0])
        return lambda: float(look(weights, images)), said

    def loss(weights: Any, x: Any, y: Any, key: Any) -> Any:
        logged = jax.nn.log_softmax(scores(weights, x, key))
        return -jnp.take_along_axis(logged, y[:, None], axis=1).mean()

    lr, momentum, decay = (networks.SGD[name] for name in ("lr", "momentum", "weight_decay"))

    def update(weights: Any, velocity: Any, x: Any, y: Any, key: Any) -> Any:
        value, grads = jax.value_and_grad(loss)(weights, x, y, key)
        velocity = jax.tree.map(lambda v, g, w: momentum * v + g + decay * w, velocity, grads, weights)
        return value, jax.tree.map(lambda w, v: w - lr * v, weights, velocity), velocity

    compiled = jax.jit(update)
    state = [weights, jax.tree.map(jnp.zeros_like, weights), jax.random.key(0)]

    def step() -> float:
        state[2], key = jax.random.split(state[2])
        value, state[0], state[1] = compiled(state[0], state[1], images, labels, key)
        return float(value)

    return step, said


def _jax_layer(layer: nn.Module, weights: Any, x: Any, key: Any, training: bool) -> Any:
    import jax
    import jax.numpy as jnp

    match layer:
        case nn.Conv2d():
            around = [(layer.padding[0],) * 2, (layer.padding[1],) * 2]
            y = jax.lax.conv_general_dilated(x, weights[0], layer.stride, around, feature_group_count=layer.groups)
            return y + weights[1][:, None, None]
        case nn.Linear():
            return x @ weights[0].T + weights[1]
        case nn.MaxPool2d():
            size, stride = layer.kernel_size, layer.stride
            return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, *size), (1, 1, *stride), "VALID")
        case nn.LocalResponseNorm():
            before = layer.size // 2
            around = [(0, 0), (before, layer.size - 1 - before), (0, 0), (0, 0)]
            squares = jax.lax.reduce_window(x * x, 0.0, jax.lax.add, (1, layer.size, 1, 1), (1, 1, 1, 1), around)
            return x / (layer.k + layer.alpha / layer.size * squares) ** layer.beta
        case nn.ReLU():
            return jax.nn.relu(x)
        case nn.Dropout():
            keep = 1 - layer.p
            return jnp.where(jax.random.bernoulli(key, keep, x.shape), x / keep, 0) if training else x
        case nn.Flatten():
            return x.reshape(len(x), -1)
        case nn.PadTo():  # pads nothing, see networks.CONFIGS
            return x
    raise TypeError(f"benchmarks: nothing in JAX corresponds to {layer}")


# --- TensorFlow ---------------------------------------------------------------------------------------------------


def tensorflow_step(
    network: networks.Name, batch: int, threads: int, forward_only: bool
) -> tuple[Step, dict[str, Any]]:
    """TensorFlow: a graph of the whole step, channels last, which is the only layout that it has for CPUs."""
    _keep_to(threads)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    said = {"version": tf.__version__, "used_threads": threads, **_own()}
    arrays, numbers = networks.batch_of(network, batch)
    images, labels = tf.constant(arrays.transpose(0, 2, 3, 1).copy()), tf.constant(numbers)
    layers, initial = _layers_and_weights(network, channels_last=True)
    weights = {name: [tf.Variable(array) for array in pair] for name, pair in initial.items()}
    variables = [variable for pair in weights.values() for variable in pair]

    def scores(x: Any) -> Any:
        for position, layer in enumerate(layers):
            x = _tensorflow_layer(layer, weights.get(str(position)), x, training=not forward_only)
        return x

    if forward_only:
        look = tf.function(lambda x: scores(x)[0, 0], autograph=False)
        return lambda: float(look(images)), said
    velocities = [tf.Variable(tf.zeros_like(variable)) for variable in variables]
    lr, momentum, decay = (networks.SGD[name] for name in ("lr", "momentum", "weight_decay"))

    def update() -> Any:
        with tf.GradientTape() as tape:
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=scores(images))
            loss = tf.reduce_mean(each)
        for variable, velocity, grad in zip(variables, velocities, tape.gradient(loss, variables), strict=True):
            velocity.assign(momentum * velocity + grad + decay * variable)
            variable.assign_sub(lr * velocity)
        return loss

    compiled = tf.function(update, autograph=False)  # no control flow that it would have to translate
    return lambda: float(compiled()), said


def _tensorflow_layer(layer: nn.Module, weights: Any, x: Any, training: bool) -> Any:
    import tensorflow as tf

    match layer:
        case nn.Conv2d():
            (top, left), groups = layer.padding, layer.groups
            x = tf.pad(x, [(0, 0), (top, top), (left, left), (0, 0)])
            parts = zip(tf.split(x, groups, axis=3), tf.split(weights[0], groups, axis=3), strict=True)
            y = tf.concat([tf.nn.conv2d(some, w, layer.stride, "VALID") for some, w in parts], axis=3)
            return tf.nn.bias_add(y, weights[1])
        case nn.Linear():
            return tf.linalg.matmul(x, weights[0], transpose_b=True) + weights[1]
        case nn.MaxPool2d():
            return tf.nn.max_pool2d(x, layer.kernel_size, layer.stride, "VALID")
        case nn.LocalResponseNorm():
            scale = layer.alpha / layer.size
            return tf.nn.local_response_normalization(x, layer.size // 2, layer.k, scale, layer.beta)
        case nn.ReLU():
            return tf.nn.relu(x)
        case nn.Dropout():
            return tf.nn.dropout(x, layer.p) if training and layer.p else x
        case nn.Flatten():
            return tf.reshape(tf.transpose(x, (0, 3, 1, 2)), (x.shape[0], -1))  # in the order of minicnn's weights
        case nn.PadTo():  # pads nothing, see networks.CONFIGS
            return x
    raise TypeError(f"benchmarks: nothing in TensorFlow corresponds to {layer}")


# --- shared -------------------------------------------------------------------------------------------------------


def _own() -> dict[str, Any]:
    """Return the facts of a library that brings its own matrix products."""
    return {"blas": ["its own matrix products"], "libraries_bytes": facts.resident_bytes()}


def _keep_to(cores: int) -> None:
    """Let this process and its threads, which do not exist yet, use this many cores."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def _layers_and_weights(network: networks.Name, channels_last: bool = False) -> tuple[list[nn.Module], dict[str, Any]]:
    """Return the layers, and by position the weight and the bias of those that have them."""
    layers = [layer for _, layer in networks.built(network).named_children()]
    weights: dict[str, list[np.ndarray]] = {}
    for position, layer in enumerate(layers):
        if isinstance(layer, nn.Conv2d | nn.Linear):
            weight = layer.weight.data
            if channels_last and isinstance(layer, nn.Conv2d):
                weight = weight.transpose(2, 3, 1, 0).copy()
            assert layer.bias is not None
            weights[str(position)] = [weight, layer.bias.data]
    return layers, weights


OTHERS: dict[str, tuple[str, Any]] = {  # the name for --against: the module that must be installed, and the step
    "torch-compile": ("torch", torch_compile_step),
    "onnxruntime": ("onnxruntime", onnxruntime_step),
    "jax": ("jax", jax_step),
    "tensorflow": ("tensorflow", tensorflow_step),
}
