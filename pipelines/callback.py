"""What happens when the last arm of a sweep has ended: its arms are compared, once."""

from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from intervene.experiment import Experiment
from pipelines.stage import reporting
from pipelines.trial import Trial


class CompareAtEnd(Callback):
    """Compares after a sweep of `pipelines.intervene`; other stages sweep without it."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Run the compare stage on what the sweep's arms have in common."""
        if config.hydra.job.name != "intervene":
            return
        with reporting("comparing"):  # Hydra would only warn
            from pipelines.compare import compare  # seconds to import, and only a sweep needs it

            plain = {key: value for key, value in config.items() if key != "hydra"}
            schema = OmegaConf.structured(Experiment)
            experiment = OmegaConf.to_object(OmegaConf.merge(schema, plain))
            assert isinstance(experiment, Experiment)
            compare(Trial(experiment, ()))
