"""Reading a damaged VHD as far as its bytes allow a safe interpretation; what is lost is listed, never made up."""
