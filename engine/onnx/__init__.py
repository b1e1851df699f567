"""Models that were trained elsewhere: files of ONNX, read within bounds, checked, and run by onnxruntime."""
