"""The pair network: ViT encoder, two cross-attending decoders, a pointmap head for each view."""
