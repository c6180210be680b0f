"""Images: from files, archives, arrays or drawn fish to uint8 [N, H, W, C]."""
