"""The model card of an exported checkpoint: what it is, where it comes from, how it is played."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqrl.errors import DataError
from seqrl.policy import Policy
from seqrl.runs.record import RunRecord, facts_in_words, fingerprint_in_words, read_record

LOOP = """\
```python
import gymnasium
import torch
from transformers import DecisionTransformerModel

model = DecisionTransformerModel.from_pretrained(".").eval()
mean = torch.tensor(model.config.seqrl["observation_mean"])
std = torch.tensor(model.config.seqrl["observation_std"])
scale, target = {scale}, {target}
steps = {steps}


@torch.no_grad()
def get_action(states, actions, returns_to_go, timesteps):
    states, actions = (states - mean) / std, torch.cat([actions, torch.zeros(1, {actions})])
    filled, used = [], min(steps, len(states))
    for values in (states, actions, returns_to_go, timesteps, torch.ones(len(states))):
        values = values[-used:]
        zeros = values.new_zeros(steps - used, *values.shape[1:])
        filled.append(torch.cat([zeros, values])[None])
    states, actions, returns_to_go, timesteps, mask = filled
    return model(
        states=states,
        actions=actions,
        rewards=None,
        returns_to_go=returns_to_go,
        timesteps=timesteps.long(),
        attention_mask=mask.long(),
        return_dict=True,
    ).action_preds[0, -1]


environment = gymnasium.make({environment}, max_episode_steps={horizon})
observation, _ = environment.reset(seed=0)
states = torch.tensor(observation, dtype=torch.float32)[None, :{observations}]
actions, total, over = torch.zeros(0, {actions}), 0.0, False
returns_to_go, timesteps = torch.tensor([[target / scale]]), torch.zeros(1)
while not over:
    action = get_action(states, actions, returns_to_go, timesteps)
    observation, reward, terminated, truncated, _ = environment.step(action.numpy())
    over, total = terminated or truncated, total + float(reward)
    seen = torch.tensor(observation, dtype=torch.float32)[None, :{observations}]
    states, actions = torch.cat([states, seen]), torch.cat([actions, action[None]])
    wanted = torch.tensor([[{wanted} / scale]])
    returns_to_go = torch.cat([returns_to_go, wanted])
    timesteps = torch.cat([timesteps, timesteps[-1:] + 1])
print(total)
```
"""


def model_card(policy: Policy, checkpoint: Path, sha256: str) -> str:
    """Write the card."""
    tokenizer, task, about = policy.model.tokenizer, policy.task, policy.about
    facts = policy.agent.facts(tokenizer.data)
    data = f"{tokenizer.data.name} ({fingerprint_in_words(tokenizer.data.fingerprint)})"
    if "imported" in about:
        trained = f"Imported by seqrl from {about['imported']}; trained on {data}"
        unused = "were not kept when it was imported"
    else:
        known = [f" for {about['updates']:,} updates"] if "updates" in about else []
        known += [f" with seed {about['seed']}"] if "seed" in about else []
        trained = f"Trained with seqrl on {data}{''.join(known)}"
        unused = "were never trained"
    named = [f"{name}={value!r}" for name, value in task.environment_settings.items()]
    loop = LOOP.format(
        scale=float(tokenizer.scales["return_to_go"][0]),
        target=facts["target_return"],
        steps=tokenizer.layout.steps,
        environment=", ".join([repr(task.environment), *named]),
        horizon=task.horizon,
        # With all reward at the end nothing is heard of it before.
        wanted="target" if task.rewards_at_end else "(target - total)",
        observations=task.observation_width,
        actions=task.action_width,
    )
    return (
        "---\n"
        "library_name: transformers\n"
        "pipeline_tag: reinforcement-learning\n"
        "tags: [decision-transformer, offline-rl, seqrl]\n"
        "---\n\n"
        f"# {type(policy.agent).__name__}, {tokenizer.data.name}\n\n"
        f"{trained}; played in {task.environment}. {facts_in_words(facts).capitalize()}.\n\n"
        f"{_scores(checkpoint, sha256)}\n\n"
        f"The heads for states and returns (`predict_state`, `predict_return`) {unused}: their "
        "weights are zero. So are those of `encoder.wpe` and `encoder.wte`, which do nothing "
        "here.\n\n"
        "## Statistics\n\n"
        "Observations are standardised, returns to go divided, before the model sees them. "
        "`config.json` holds the same numbers under `seqrl`.\n\n"
        f"{_statistics(tokenizer.shifts, tokenizer.scales)}\n\n"
        "## Playing it\n\n"
        f"{loop}\n"
        f"SHA-256 of the checkpoint that this was exported from: `{sha256}`.\n"
    )


def _scores(checkpoint: Path, sha256: str) -> str:
    """Say what the record beside the checkpoint says, if there is one."""
    record = record_of(checkpoint, sha256)
    if record is None or record.mean_return is None:
        return "No record of an evaluation lay beside the checkpoint."
    score = "" if record.score is None else f"Score {record.score:.1f}, "
    return f"{score}{'return' if score else 'Return'} {record.mean_return:,.1f}: {record.caption()}"


def record_of(checkpoint: Path, sha256: str) -> RunRecord | None:
    """Return the record that lies beside a checkpoint and is of it."""
    file = checkpoint.with_suffix(".json")
    if not file.exists():
        return None
    try:
        record = read_record(file)
    except DataError:
        return None
    return record if record.status == "done" and record.is_of(sha256) else None


def _statistics(shifts: Mapping[str, Any], scales: Mapping[str, Any]) -> str:
    rows = zip(shifts["observation"].tolist(), scales["observation"].tolist(), strict=True)
    lines = [f"| {index} | {mean!r} | {std!r} |" for index, (mean, std) in enumerate(rows)]
    return "\n".join(["| dimension | mean | deviation |", "|---|---|---|", *lines])
