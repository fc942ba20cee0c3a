"""Key points: tracking, smoothing, retargeting, drawing."""
