"""respike: six published studies of recurrent spiking networks, reproduced by one workflow."""

__version__ = "0.1.0"
