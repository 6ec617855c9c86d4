"""A future whose waiter goes on within the call that wakes it."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from vesselog.core.client.prompt import Prompt

WHO = contextvars.ContextVar("WHO", default="nobody")


async def waiting_for(prompt: Prompt, heard: list[str]) -> asyncio.Task[None]:
    """A task of its own that waits."""

    async def wait() -> None:
        WHO.set("waiter")
        await prompt
        current = asyncio.current_task()
        heard.append(f"{WHO.get()} in {current.get_name() if current else None}")

    task = asyncio.create_task(wait(), name="a task")
    await asyncio.sleep(0)
    return task


async def test_woken_by_the_loop_the_waiter_goes_on_before_wake_returns():
    loop, heard = asyncio.get_running_loop(), list[str]()
    prompt = Prompt(loop=loop)
    task = await waiting_for(prompt, heard)
    done = loop.create_future()

    def callback() -> None:
        prompt.wake()
        heard.append(f"woken by {WHO.get()}")
        prompt.wake()
        done.set_result(None)

    loop.call_soon(callback)
    await done
    assert heard == ["waiter in a task", "woken by nobody"]
    await task


async def test_woken_by_a_task_the_waiter_goes_on_after_it():
    heard = list[str]()
    prompt = Prompt(loop=asyncio.get_running_loop())
    task = await waiting_for(prompt, heard)
    prompt.wake()
    assert heard == []
    await task
    assert heard == ["waiter in a task"]


async def test_woken_before_anybody_waits():
    prompt = Prompt(loop=asyncio.get_running_loop())
    prompt.wake()
    async with asyncio.timeout(10):
        await prompt


async def test_a_cancelled_waiter_hears_of_it_though_it_is_woken_then():
    heard = list[str]()
    prompt = Prompt(loop=asyncio.get_running_loop())
    task = await waiting_for(prompt, heard)
    task.cancel("enough")
    prompt.wake()
    with pytest.raises(asyncio.CancelledError, match="enough"):
        await task
    assert heard == []


async def test_a_deadline_of_the_waiter_passes():
    prompt = Prompt(loop=asyncio.get_running_loop())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await prompt


async def test_what_the_waiter_raises_is_its_tasks():
    loop = asyncio.get_running_loop()
    prompt = Prompt(loop=loop)

    async def fail() -> None:
        await prompt
        raise ValueError("its own")

    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    loop.call_soon(prompt.wake)
    with pytest.raises(ValueError, match="its own"):
        await task
