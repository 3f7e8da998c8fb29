"""A learned step policy: VideoScene's dynamic denoising policy, per frame and to a quality."""
