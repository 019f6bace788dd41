"""The one vocabulary: frozen values and protocols that travel between the stages. No I/O."""
