"""Which files are videos that FFmpeg reads (`vidrnn.video.container`), or hold sound alone, by their names."""

VIDEO_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("3g2", "3gp", "3gp2", "3gpp", "amv", "asf", "avi", "divx", "dv", "dvr-ms", "evo", "f4v", "flv", "gif", "gxf"),
        *(
            "ismv",
            "ivf",
            "m1v",
            "m2t",
            "m2ts",
            "m2v",
            "m4v",
            "mjpeg",
            "mjpg",
            "mk3d",
            "mkv",
            "mod",
            "mov",
            "mp2v",
            "mp4",
        ),
        *(
            "mp4v",
            "mpe",
            "mpeg",
            "mpg",
            "mpv",
            "mqv",
            "mts",
            "mxf",
            "nsv",
            "nut",
            "ogm",
            "ogv",
            "ogx",
            "qt",
            "rm",
            "rmvb",
        ),
        *("tod", "tp", "trp", "ts", "vob", "vro", "webm", "webp", "wmv", "wtv", "xvid"),
        # streams without a container
        *("264", "265", "av1", "avc", "h261", "h263", "h264", "h265", "h26l", "hevc", "jsv", "obu", "vc1"),
    )
)
SOUND_SUFFIXES = frozenset(
    f".{name}" for name in ("aac", "aif", "aiff", "flac", "m4a", "mp3", "oga", "ogg", "opus", "wav", "wma")
)
