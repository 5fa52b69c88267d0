"""Labs and studies that earlier versions left behind. Every later version opens them, and
goes on with them: nothing is measured again, and every id stays."""
