"""Every mistake of an author who has read the guide: kind, method, change, check."""

from dataclasses import replace

import planted_third as third
import torch
from planted_mistakes import reseeding, views, writing
from planted_readers import cameras, scenes
from planted_subtle import answering, grid

THIRD = [
    *(("regression", "predict", change, "is_deterministic") for change in third.SETTINGS),
    ("regression", "predict", third.views_in_batches, "permuting_targets"),
    ("regression", "predict", third.views_as_bright_as_the_brightest, "permuting_targets"),
    ("regression", "predict", third.two_photos_only, "every_photo_counts"),
    ("regression", "predict", views(lambda c: {"depth": c.opacity.double()}), "renders_every"),
    ("diffusion", "layouts", writing(lambda s: s.targets.world_from_camera), "layouts_make"),
    ("diffusion", "layouts", reseeding, "layouts_make"),
    ("diffusion", "sampler", reseeding, "noise_falls"),
    ("diffusion", "encode", answering(third.batch_of(8)), "encoding_is"),
    ("diffusion", "decode", answering(third.batch_of(8)), "decoding_is"),
    ("diffusion", "condition", third.condition_of_the_truth, "does_not_look"),
    (
        "diffusion",
        "denoise",
        third.partial_passes(lambda x, c, s: len(c) == 7),
        "fresh_cache_equivalence_of_frames",
    ),
    (
        "diffusion",
        "denoise",
        third.partial_passes(lambda x, c, s: s == 0),
        "fresh_cache_equivalence_of_frames",
    ),
    (
        "diffusion",
        "denoise",
        third.partial_passes(lambda x, c, s: c.shape[-2] > c.shape[-1]),
        "fresh_cache_equivalence_of_tiles",
    ),
    (
        "diffusion",
        "denoise",
        third.partial_passes(lambda x, c, s: s == 9),
        "fresh_cache_equivalence_of_tiles",
    ),
    ("diffusion", "denoise", third.by_the_way_of_a_later_step(), "requests_in_threads"),
    ("diffusion", "sampler", grid(advance=third.past_on_self), "keeps_nothing_between"),
    ("diffusion", "sampler", grid(advance=third.past_in_place), "keeps_nothing_between"),
    ("diffusion", "sampler", grid(noised=third.only_squares), "a_move_lands"),
    ("diffusion", "sampler", grid(advance=third.always_single), "states_are_as_exact"),
    ("quality", "score", answering(lambda score: score.double()), "one_finite"),
    ("mask", "mask", third.of_two_clusters, "marks_pixels"),
    ("mask", "mask", answering(third.first_view_whole), "permuting_targets"),
    ("steps", "start_steps", third.nothing_to_do_for_nan, "a_ratio"),
    ("steps", "start_steps", third.a_table_with_a_slip, "a_higher_quality"),
    ("steps", "start_steps", third.steps_of_the_truth, "does_not_look"),
    ("embedder", "embed", lambda f, e, s, x: e(x[:2]), "looks_at_more"),
    ("embedder", "embed", answering(lambda vector: vector.double()), "one_unit"),
    ("poses", "estimate_poses", third.by_name, "poses_are_camera_to_world"),
    ("poses", "estimate_poses", cameras(third.middle_swapped), "poses_are_camera_to_world"),
    ("poses", "estimate_poses", cameras(third.unit_baselines), "poses_are_camera_to_world"),
    ("poses", "estimate_poses", cameras(third.lying), "photos_may_stand"),
    ("poses", "estimate_poses", third.upright_lens, "photos_may_stand"),
    ("scene_reader", "read", scenes(third.lens(third.normalised)), "reads_its_sample"),
    ("scene_reader", "read", scenes(third.lens(lambda k: 3 * k)), "reads_its_sample"),
    ("scene_reader", "read", scenes(third.axes_of_opengl), "reads_its_sample"),
    ("scene_reader", "read", scenes(third.photos_in_another_order), "reads_its_sample"),
    (
        "scene_reader",
        "read",
        scenes(lambda scene: replace(scene, images=torch.rot90(scene.images, 2, (2, 3)))),
        "reads_its_sample",
    ),
    ("scene_reader", "read", third.splits_at_spaces, "where_a_scene_lies"),
    ("scene_reader", "read", third.takes_every_file, "where_a_scene_lies"),
    ("scene_reader", "can_read", third.asks_for_its_root, "where_a_scene_lies"),
]
