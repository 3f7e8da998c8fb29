"""The paper's quality score: MUSIQ, through pyiqa (non-commercial)."""
