"""Deep DCGAN whose generator also matches the discriminator's features.

The report trained it for 405 epochs: D's loss went from 1.15 to 0.36;
G's from 7.65 to 4.2 at epoch 10, 3.1 at 75-100 and 2.9 at 405. Its code matched one scalar; its
text gives the paper's sum over features, which needs a small weight:
--config.loss.feature_matching=sum --config.loss.feature_matching_weight=1e-4.
"""

from ml_collections import ConfigDict

from fish_jax.configs import dcgan_deep
from fish_jax.configs.default import apply_variant


def get_config(variant: str = "") -> ConfigDict:
    config = dcgan_deep.get_config()
    config.name = "dcgan_feature_matching"
    config.loss.feature_matching = "scalar"
    return apply_variant(config, variant, dcgan_deep.DEMO)
