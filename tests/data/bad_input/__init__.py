"""Whatever is wrong with what people bring: a sentence that helps, status 2, nothing is lost."""
