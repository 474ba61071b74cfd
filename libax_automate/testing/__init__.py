"""What connector and model authors test with (extra ``testing``)."""
