"""Playing episodes: seeds, ends, rewards that come late, and agents that misbehave."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from seqrl.agents.agent import Agent
from seqrl.episodes import Array, Episode, History
from seqrl.errors import SeqrlError
from seqrl.evaluation import Evaluation, environment_seed, generator_of, play
from seqrl.seeds import seed_for
from seqrl.tasks.environment import Environments, task_in
from seqrl.tasks.task import Reference, Task
from seqrl.tokens.layout import TokenLayout
from seqrl.tokens.tokenizer import Tokenizer
from tests.planning.making import layout, tokenizer_of
from tests.toy import ENVIRONMENT


class Nothing:
    """A model for agents that need none; its bins have narrow ranges."""

    tokenizer = tokenizer_of(layout(5, 4), observation=3, action=2, seed=0)

    def eval(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, kw_only=True)
class Scripted(Agent):
    """Pushes towards the middle, with chance of its own; or misbehaves."""

    noise: float = 0.0
    answer: Any = None

    def layout(self) -> TokenLayout:
        raise NotImplementedError

    def model(self, tokenizer: Tokenizer, generator: Any) -> Any:
        raise NotImplementedError

    def act(self, model: Any, history: History) -> Array:
        if self.answer is not None:
            return np.asarray(self.answer)
        chance = np.stack([generator.normal(size=2) for generator in history.generators])
        wish = -history.observations[:, -1, :2] + self.noise * chance
        wish += 0.1 * history.reward_before[:, -1:]
        return np.clip(wish, -1, 1).astype(np.float32)


def toy(**given: Any) -> Task:
    scale = Reference(minimum=-10.0, maximum=20.0, source="test")
    made = task_in(ENVIRONMENT, name="file/toy", horizon=None, reference=scale)
    return Task(**{**vars(made), **given})


def played(agent: Agent, task: Task, numbers: Any = range(20), seed: int = 0, **more: Any) -> Any:
    return play(agent, Nothing(), task, seed=seed, numbers=numbers, **more)  # type: ignore[arg-type]


def test_an_episode_is_what_a_plain_loop_plays() -> None:
    """One environment, one generator, one history at a time: the same returns and lengths, and as
    many numbers outside the bins."""
    task, agent = toy(), Scripted(noise=0.3)
    edges, beyond = Nothing.tokenizer.edges["observation"], set()
    for episode in played(agent, task):
        seed = seed_for(0, "file/toy", "evaluation", episode.number)
        assert episode.seed == seed == environment_seed(0, task.name, episode.number)
        environments, total, steps, outside = Environments(task, 1), 0.0, 0, 0
        history = History(
            environments.start([seed]),
            action_width=2,
            horizon=12,
            generators=[generator_of(0, task, episode.number)],
        )
        while len(environments.playing):
            for number, own in zip(history.observations[0, -1], edges, strict=True):
                outside += not own[0] <= number <= own[-1]
            actions = agent.act(None, history)
            outcome = environments.step(actions)
            history.add(actions, outcome.rewards, outcome.observations)
            total, steps = total + outcome.rewards[0], steps + 1
        assert (episode.return_, episode.length) == (total, steps)
        assert episode.outside == episode.plain()["outside"] == outside
        beyond.add(outside)
    assert len(beyond) > 1


def test_who_is_played_does_not_matter_to_the_others() -> None:
    """Chance that is shared between rows gives an episode another course in other company."""
    task, agent = toy(), Scripted(noise=0.3)
    everyone = {episode.number: episode for episode in played(agent, task, range(30))}
    assert len({episode.length for episode in everyone.values()}) > 3
    assert played(agent, task, [7, 3, 29]) == [everyone[7], everyone[3], everyone[29]]
    assert played(agent, task, []) == []


def test_each_ended_episode_is_told_at_once() -> None:
    """What is told late is lost when the power goes."""
    task, heard, at = toy(), [], []

    def told(episode: Any) -> None:
        heard.append(episode)
        at.append(steps[-1])

    steps: list[float] = []
    found = played(
        Scripted(), task, told=told, progress=lambda d, done, t, u, n="": steps.append(done)
    )
    assert sorted(heard, key=lambda e: e.number) == found
    assert [episode.length for episode in heard] == [step + 1 for step in at]
    assert steps[-1] == task.horizon


def test_episodes_that_are_kept_are_whole() -> None:
    """Whoever looks at them later must not find another row's steps, or miss the last."""
    task, agent, whole = toy(), Scripted(noise=0.3), dict[int, Episode]()
    for one in played(agent, task, range(10), whole=whole.__setitem__):
        kept = whole[one.number]
        assert (len(kept), kept.terminated) == (one.length, one.terminated)
        assert kept.timed_out != kept.terminated and kept.next_observations is not None
        assert kept.return_ == pytest.approx(one.return_, abs=1e-5)
        environments = Environments(task, 1)
        seen = environments.start([one.seed])
        for step in range(len(kept)):
            np.testing.assert_array_equal(kept.observations[step], seen[0])
            outcome = environments.step(kept.actions[step : step + 1])
            seen = outcome.observations
            np.testing.assert_array_equal(kept.next_observations[step], seen[0])
            assert kept.rewards[step] == np.float32(outcome.rewards[0])


def test_rewards_that_come_at_the_end_are_not_heard_before() -> None:
    """In the delayed setting a return-conditioned agent must not count down."""
    late, soon = toy(rewards_at_end=True), toy()
    heard: list[Array] = []

    @dataclass(frozen=True, kw_only=True)
    class Listening(Scripted):
        def act(self, model: Any, history: History) -> Array:
            heard.append(history.reward_before.copy())
            return np.zeros((len(history), 2), np.float32)

    returns = [episode.return_ for episode in played(Listening(), late)]
    assert all((before == 0).all() for before in heard)
    heard.clear()
    assert [episode.return_ for episode in played(Listening(), soon)] == returns
    assert any((before != 0).any() for before in heard)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (np.zeros((20, 3)), r"shape \[20, 3\] for 20 episodes; file/toy takes \[20, 2\]"),
        (np.zeros(2), r"shape \[2\]"),
        (np.full((20, 2), np.nan), "not finite in step 1"),
        (np.full((20, 2), np.inf), "not finite in step 1"),
    ],
)
def test_actions_that_nobody_can_take_are_refused(answer: Array, said: str) -> None:
    """NumPy would broadcast them, and MuJoCo warn and go on."""
    with pytest.raises(SeqrlError, match=said):
        played(Scripted(answer=answer), toy())


@pytest.mark.parametrize(
    ("times", "updates", "expected"),
    [(1, 100, [100]), (4, 100, [25, 50, 75, 100]), (3, 10, [3, 7, 10]), (3, 3, [1, 2, 3])],
)
def test_evaluations_are_evenly_spaced(times: int, updates: int, expected: list[int]) -> None:
    """The last is always at the end."""
    assert Evaluation(times=times).milestones(updates) == expected


def test_an_evaluation_of_nothing_is_refused() -> None:
    """A mean over no episodes is no number."""
    for wrong in ({"episodes": 0}, {"times": 0}):
        with pytest.raises(SeqrlError, match="must be 1 or more"):
            Evaluation(**wrong)
    with pytest.raises(SeqrlError, match="do not fit"):
        Evaluation(times=11).milestones(10)


def test_progress_says_how_fast_it_decides() -> None:
    """Whoever waits for a planner wants to know whether it will end today."""
    heard: list[tuple[float, float, str]] = []

    def progress(doing: str, done: float, total: float, unit: str, note: str = "") -> None:
        heard.append((done, total, note))

    episodes = played(Scripted(), toy(), range(6), progress=progress)
    steps = max(episode.length for episode in episodes)
    assert [done for done, *_ in heard[:-1]] == [*range(steps)] and heard[-1][0] == heard[-1][1]
    said = [
        re.fullmatch(r"(\d) episodes? ended, ([\d.,]+) decisions/s", note) for *_, note in heard
    ]
    assert all(said) and said[0] and said[-1]
    assert float(said[0][2]) == 0 and said[-1][2] != "0.0" and said[-1][1] == "6"
