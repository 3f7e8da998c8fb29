"""ViewCrafter: 3-D U-Net video diffusion that turns point-cloud renders into photographs."""
