"""Options of the pair network, the alignment and the two components (torch-free)."""

from typing import Literal, Self

from pydantic import Field, model_validator

from sphinx_framework.options import CheckpointOptions, Options

OFFICIAL_WEIGHTS = "naver/DUSt3R_ViTLarge_BaseDecoder_512_dpt"


class NetworkConfig(Options):
    """Sizes of the pair network; the defaults are those of all official checkpoints."""

    head: Literal["dpt", "linear"] = Field(
        default="dpt", description="pointmap head of the checkpoint"
    )
    patch_size: int = Field(default=16, ge=1, description="pixels along a token's side")
    encoder_width: int = Field(default=1024, ge=1, description="channels of an encoder token")
    encoder_depth: int = Field(default=24, ge=1, description="encoder blocks")
    encoder_heads: int = Field(default=16, ge=1, description="attention heads of an encoder block")
    decoder_width: int = Field(default=768, ge=1, description="channels of a decoder token")
    decoder_depth: int = Field(default=12, ge=1, description="blocks of each of the two decoders")
    decoder_heads: int = Field(default=12, ge=1, description="attention heads of a decoder block")
    mlp_ratio: int = Field(default=4, ge=1, description="hidden over outer width of a block's MLP")
    dpt_features: int = Field(default=256, ge=2, description="channels of the DPT fusion blocks")
    dpt_last: int = Field(default=128, ge=1, description="channels before the DPT output layer")
    dpt_channels: tuple[int, int, int, int] = Field(
        default=(96, 192, 384, 768), description="channels of the four DPT levels, finest first"
    )

    @model_validator(mode="after")
    def _heads_divide_widths(self) -> Self:
        for side in ("encoder", "decoder"):
            width, heads = getattr(self, f"{side}_width"), getattr(self, f"{side}_heads")
            if width % heads or (width // heads) % 4:
                raise ValueError(
                    f"{side}_width {width} over {side}_heads {heads} must be a multiple of 4 "
                    f"(two rotary halves of pairs)"
                )
        return self


class AlignmentConfig(Options):
    """How the pointmaps of the pairs are brought into one world."""

    solver: Literal["auto", "pair", "optimise"] = Field(
        default="auto",
        description="pair: closed form, two photos only; optimise: global alignment; auto: pair "
        "for two photos without known poses, else optimise",
    )
    iterations: int = Field(default=300, ge=0, description="Adam steps of the global alignment")
    schedule: Literal["cosine", "linear"] = Field(
        default="cosine", description="decay of the learning rate; ViewCrafter uses linear"
    )
    learning_rate: float = Field(default=0.01, gt=0, description="learning rate at the first step")
    last_learning_rate: float = Field(
        default=1e-6, ge=0, description="learning rate after the last step"
    )
    min_confidence: float = Field(
        default=3.0, ge=0, description="pixels above this confidence take part in PnP"
    )
    refine_poses: bool = Field(
        default=True,
        description="after PnP, move to the smallest reprojection distances of the inliers; "
        "upstream does not",
    )
    focal_range: tuple[float, float] | None = Field(
        default=None,
        description="bounds of an estimated focal length in units of max(H, W) / (2 tan 30 deg); "
        "ViewCrafter uses (0.5, 3.5)",
    )
    optimise_principal_points: bool = Field(
        default=False, description="free the principal points where they are not known"
    )
    pixel_centre: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="image position of the centre of the first pixel; upstream code has 0, which "
        "shifts its cameras by half a pixel against this framework's",
    )
    upstream_start: bool = Field(
        default=False,
        description="start exactly as upstream does, slips included: a tree edge takes a missing "
        "focal length from the pointmap of the edge before it; with known poses a pair's frame is "
        "fitted to PnP poses found with the first view's focal length, not taken from the poses",
    )


class KnownPoseAlignmentConfig(AlignmentConfig):
    """Defaults for known poses: a short descent at a small rate from a start that is good.

    With poses known nothing pins the unit of length, and the objective, a sum of distances, keeps
    shrinking noisy pointmaps: with narrow baselines a long optimisation is worse than its start.
    """

    iterations: int = Field(default=100, ge=0, description="Adam steps of the global alignment")
    learning_rate: float = Field(default=1e-3, gt=0, description="learning rate at the first step")


class DUSt3RConfig(CheckpointOptions):
    """Options shared by the pose estimator and the regression model."""

    weights: str = Field(
        default=OFFICIAL_WEIGHTS,
        description="Hugging Face repository, path of a .safetensors or .pth file, or 'random' "
        "(seeded, for tests and timing)",
    )
    seed: int = Field(default=0, description="seed of weights = 'random'")
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="of encoder and decoders; the heads always run in float32"
    )
    network: NetworkConfig = Field(default=NetworkConfig(), description="network sizes")
    image_size: int = Field(
        default=512,
        ge=16,
        description="long side of the photos that the network sees, in pixels; 224: centred "
        "squares of that side, for the 224 checkpoint",
    )
    square_ok: bool = Field(
        default=False, description="keep square photos square instead of cutting them to 4:3"
    )
    pairs: str = Field(
        default="complete",
        pattern=r"^(complete|swin-[1-9]\d*|logwin-[1-9]\d*|oneref-\d+)$",
        description="which photos are paired: complete, swin-K (K following), logwin-K (1, 2, 4 "
        "... following, K of them), oneref-R (all with photo R)",
    )
    pair_batch: int = Field(default=1, ge=1, description="pairs decoded at once")
    alignment: AlignmentConfig = Field(
        default=AlignmentConfig(), description="how pairs become one world"
    )


class DUSt3RRegressionConfig(DUSt3RConfig):
    """Options of the regression model: which points are drawn, and how."""

    alignment: KnownPoseAlignmentConfig = Field(
        default=KnownPoseAlignmentConfig(),
        description="how pairs are brought to the scene's cameras",
    )
    keep: Literal["auto", "all", "confident"] = Field(
        default="auto",
        description="points drawn; confident: those that pass keep_above or lie in the "
        "background; auto: all for one or two photos, confident for more",
    )
    keep_above: float = Field(
        default=1.0986123,
        ge=0,
        description="confidence above which a point is kept; ln 3 is ViewCrafter's",
    )
    background: float = Field(
        default=0.2,
        ge=0,
        description="points deeper than this share of (largest + smallest depth) are kept too",
    )
    clean: bool = Field(
        default=True,
        description="drop points that hide a more confident surface (keep = confident)",
    )
    radius: float = Field(
        default=0.01,
        gt=0,
        description="point radius in units of half the shorter side of the render",
    )
    points_per_pixel: int = Field(default=10, ge=1, description="nearest points blended in a pixel")
