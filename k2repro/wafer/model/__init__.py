"""What is predicted: devices, shapes, roofline, mesh, and the prediction put together."""
