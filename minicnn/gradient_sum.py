"""The sum of all ranks' gradients, computed while the backward pass goes on.

Backward finishes the gradients of the last layer first. From then on they only wait for the optimiser, so they can
travel while the earlier layers are still computed. In AlexNet this is almost a gift: the fully connected layers have
96 % of the gradients and come first, the convolutions have 92 % of the arithmetic and come last.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minicnn.autograd import Tensor
from minicnn.backend import HostBuffer, device_of, to_device
from minicnn.distributed import Team

__all__ = ["GradientSum", "groups"]

BUCKET = 16 << 20  # bytes: a message costs some time however small it is, so small gradients travel together
SLICE = 8 << 20  # bytes: of a larger message no part is added up before all of it has arrived


class Bucket:
    """Parameters whose gradients travel together: one large one, in place, or small ones in a copy.

    Those on a GPU are copied in any case, into page-locked memory, while the GPU goes on with the backward pass.
    """

    def __init__(self, parameters: list[Tensor]) -> None:
        self.parameters = parameters
        self.missing = len(parameters)  # gradients that are not complete yet
        self.numbers: NDArray[np.floating] = np.empty(0)
        self.buffer: HostBuffer | None = None

    def fill(self) -> None:
        """Take the gradients; a single one that lies in the processor's memory is not copied."""
        gradients = [parameter.grad for parameter in self.parameters]
        if device_of(gradients[0]) != "cpu":
            self._fill_from_gpu(gradients)
            return
        flat = [np.ascontiguousarray(gradient).reshape(-1) for gradient in gradients]
        if len(flat) == 1:
            self.numbers = flat[0]
        elif self.numbers.size:
            np.concatenate(flat, out=self.numbers)
        else:
            self.numbers = np.concatenate(flat)

    def _fill_from_gpu(self, gradients: list[Any]) -> None:
        if self.buffer is None:
            size = sum(gradient.size for gradient in gradients)
            self.buffer = HostBuffer(size, gradients[0].dtype, device_of(gradients[0]))
            self.numbers = self.buffer.numbers
        self.buffer.take(gradients)

    def wait(self) -> None:
        """Wait until the gradients are in the processor's memory."""
        if self.buffer is not None:
            self.buffer.wait()

    def empty(self) -> None:
        """Give the sums to the parameters, as parts of one array."""
        numbers = self.numbers if self.buffer is None else self.buffer.give()
        start = 0
        for parameter in self.parameters:
            parameter.grad = numbers[start : start + parameter.numel()].reshape(parameter.shape)
            start += parameter.numel()
        self.missing = len(self.parameters)


class GradientSum:
    """Adds up the gradients of all ranks, in the background, from the last parameter to the first.

    All ranks send the same buckets in the same order, as MPI demands, even if backward should finish their gradients in
    different orders: a bucket is sent when it and all buckets before it are complete.

    Parameters
    ----------
    team : Team
    parameters : iterable of Tensor
        Those that are trained, in the order in which the network uses them.

    Examples
    --------
    Each rank's loss is the mean over its own n of all N images, which weighs n / N in the mean over all::

        gradients = GradientSum(team, network.parameters())
        for step in loss.backward_steps(n / N):
            for parameter in step.finished:
                gradients.ready(parameter)
        gradients.finish()
        optimizer.step()
    """

    def __init__(self, team: Team, parameters: Iterable[Tensor]) -> None:
        self.channel = team.another()
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="minicnn-gradients")
        self.parameters = list(parameters)[::-1]
        self.buckets = [Bucket(group) for group in groups(self.parameters)]
        self.bucket_of = {parameter: bucket for bucket in self.buckets for parameter in bucket.parameters}
        self.complete: set[Tensor] = set()
        self.sent: list[Future[None]] = []

    def ready(self, parameter: Tensor) -> None:
        """Note that a parameter's gradient is complete on this rank. A tensor that is not trained is ignored."""
        if parameter in self.bucket_of:
            self.complete.add(parameter)
            self.bucket_of[parameter].missing -= 1
            self._send_what_is_complete()

    def finish(self) -> None:
        """Wait until every ``grad`` is the sum over all ranks.

        A parameter that this rank has not used counts as zeros; one that no rank has used keeps ``grad = None``.

        Raises
        ------
        TeamError
            If the others do not come.
        """
        used = np.array([parameter in self.complete for parameter in self.parameters], np.int32)
        for parameter in self.parameters:
            if parameter not in self.complete:
                parameter.grad = to_device(np.zeros(parameter.shape, parameter.dtype), parameter.device)
                self.bucket_of[parameter].missing -= 1
        self._send_what_is_complete()
        self.sent.append(self.thread.submit(self.channel.add_up, used))
        for future in self.sent:
            future.result()
        for bucket in self.buckets:
            bucket.empty()
        for parameter, ranks in zip(self.parameters, used, strict=True):
            if ranks == 0:
                parameter.grad = None
        self.complete.clear()
        self.sent.clear()

    def close(self) -> None:
        """End the thread."""
        self.thread.shutdown(cancel_futures=True)

    def _send_what_is_complete(self) -> None:
        for bucket in self.buckets[len(self.sent) :]:
            if bucket.missing:
                break
            bucket.fill()
            self.sent.append(self.thread.submit(self._add_up, bucket))

    def _add_up(self, bucket: Bucket) -> None:
        bucket.wait()
        count = SLICE // bucket.numbers.itemsize
        for start in range(0, bucket.numbers.size, count):
            self.channel.add_up(bucket.numbers[start : start + count])


def groups(parameters: Iterable[Tensor]) -> list[list[Tensor]]:
    """Put a large parameter into a group of its own, and neighbouring small ones of a dtype and device into one."""
    groups: list[list[Tensor]] = []
    room = 0
    for parameter in parameters:
        size = parameter.data.nbytes
        if not groups or size >= SLICE or size > room or not alike(parameter, groups[-1][0]):
            groups.append([])
            room = 0 if size >= SLICE else BUCKET
        groups[-1].append(parameter)
        room -= size
    return groups


def alike(first: Tensor, second: Tensor) -> bool:
    """Return whether two tensors have one dtype and one device."""
    return (first.dtype, first.device) == (second.dtype, second.device)
