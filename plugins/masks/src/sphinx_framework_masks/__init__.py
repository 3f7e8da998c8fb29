"""Where a coarse view needs refinement: low opacity, blur, smoothing (Sphinx section 5.3)."""
