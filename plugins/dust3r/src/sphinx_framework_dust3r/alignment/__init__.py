"""Global alignment: one world for the pointmaps of many pairs (DUSt3R section 3.4)."""
