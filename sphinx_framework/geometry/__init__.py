"""Pure camera mathematics: where targets lie, pinhole maps, rotations, resizing."""
