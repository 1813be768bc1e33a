"""Who scores the answers: a reward model; else a judge, by its label probabilities; else nothing, and the first answer stands.

Whoever scores, the score is the column `reward`, so that rules, rankings and pairs read one name; the run's remarks say whose
it is. A threshold belongs to the reward model that it was made for: by another model's scores the lowest tenth is dropped.
"""

from dataclasses import dataclass

from attar.core.errors import RecipeError
from attar.engines.base import Spec
from attar.recipes import _judge_check
from attar.runtime.flow import Flow, Handle
from attar.stages.annotate import judge as judging
from attar.stages.annotate import reward
from attar.stages.annotate.judge_prompts import RUBRICS
from attar.stages.select import keep as keeping
from attar.stages.select import presets, rank, where

NOTHING = "nothing scores the answers: the first answer stands"


@dataclass(frozen=True, slots=True)
class Scorer:
    """A reward model, or a judge with its rubric."""

    engine: Spec
    rubric: str | None = None
    """The judge's rubric; None for a reward model."""

    @property
    def words(self) -> str:
        """Who scores, and how, for the run's remarks."""
        if self.rubric is None:
            return f"reward model {self.engine.name}"
        values = RUBRICS[self.rubric].values
        return f"judge {self.engine.name} (the mean of {values[0]} to {values[-1]} by its label probabilities)"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule over columns, and whether the lowest by the score are dropped in place of a threshold of another reward model."""

    rule: str
    drops_lowest: bool = False
    left_out: str | None = None
    """A threshold that is left out, because nothing scores."""

    @property
    def columns(self) -> set[str]:
        """The columns that it reads."""
        return {*where.columns(self.rule), *(["reward"] if self.drops_lowest else [])}


def choose_scorer(rewarder: Spec | None, judge: Spec | None, rubric: str) -> Scorer | None:
    """The reward model if there is one, else the judge if there is one."""
    if rewarder is not None:
        return Scorer(rewarder)
    return Scorer(judge, rubric) if judge is not None else None


def check_scorer(flow: Flow, scorer: Scorer | None, force: bool) -> dict[str, Handle]:
    """Before anything else is requested: refuse a judge that cannot judge, unless forced; its figures are a result."""
    if scorer is None or scorer.rubric is None:
        return {}
    return _judge_check.check(flow, scorer.engine, scorer.rubric, force)


def score_answers(flow: Flow, rows: Handle, scorer: Scorer | None, name: str = "score") -> Handle:
    """The answers with their score as `reward`, from whoever scores; unchanged if nobody does."""
    if scorer is None:
        return rows
    if scorer.rubric is None:
        return flow(reward.score, rows, engine=scorer.engine, name=name)
    return flow(judging.score, rows, engine=scorer.engine, rubric=scorer.rubric, into="reward", name=name)


def filter_rule(own: presets.Filter, rule: str | None, reward_above: float | None, scorer: Scorer | None) -> Rule:
    """The rule that takes a filter's place, or the filter's own with its threshold, or with what stands for it."""
    conditions = [rule] if rule else list(own.conditions)
    if reward_above is not None:
        return Rule(presets.all_of(*(f"({rule})" for rule in conditions), presets.above(reward_above)))
    if rule or own.reward_above is None:
        return Rule(presets.all_of(*conditions))
    threshold = presets.above(own.reward_above)
    if scorer is None:
        return Rule(presets.all_of(*conditions), left_out=f"{threshold}, for {own.reward_model}")
    if scorer.rubric is None and own.fits(scorer.engine.model):
        return Rule(presets.all_of(*conditions, threshold))
    return Rule(presets.all_of(*conditions), drops_lowest=True)


def check_columns(columns: set[str], scorer: Scorer | None) -> None:
    """Raise if rows are to be kept by a score that nothing gives."""
    if "base_reward" in columns and (scorer is None or scorer.rubric is not None):
        raise RecipeError(
            "the rule reads 'base_reward', which compares two rewards: name an engine for 'rewarder', or choose another filter"
        )
    if "reward" in columns and scorer is None:
        raise RecipeError(
            "the rule or the knob 'by' reads 'reward', and nothing scores the answers: name an engine for 'rewarder', or for "
            "'judge'"
        )


def keep_by_rule(flow: Flow, rows: Handle, rule: Rule) -> Handle:
    """The rows that pass the rule; of a pool whose lowest are dropped, those that are left."""
    if rule.drops_lowest:
        lowest = flow(rank.drop_lowest, rows, by="reward", share=presets.LOWEST_SHARE, name="lowest")
        rows = flow(keeping.rows, rows, lowest, name="not-lowest")
    return flow(keeping.rows, rows, flow(where.holds, rows, rule=rule.rule, name="rule"), name="good")


def describe(rule: Rule | None, scorer: Scorer | None, chosen: str) -> str:
    """What rows are kept by, in one line."""
    parts = [f"rule {rule.rule}"] if rule else []
    if rule and rule.drops_lowest:
        parts.append("the lowest tenth by reward dropped (reward_above sets a threshold)")
    parts.append(chosen)
    if scorer is None:
        parts.append(NOTHING + (f"; the filter's {rule.left_out}, is left out" if rule and rule.left_out else ""))
    else:
        parts.append(f"answers are scored by {scorer.words}")
    return f"rows are kept by: {'; '.join(parts)}"
