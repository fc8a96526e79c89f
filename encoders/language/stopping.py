"""Words that say nothing of what a text is about, by the lists of the package `stopwordsiso`."""

from functools import lru_cache

LANGUAGES = ("en", "zh", "ru", "ar", "ja", "ko")
"""Those whose words are no words of content in another of them, as `war` and `die` of German would be."""

_FURTHER = """yesterday today tomorrow tonight thanks thank please wow lol haha omg hello hi hey sharing
posting 昨天 今天 明天 今晚 刚才 谢谢 感谢 请问 哈哈 你好 分享"""
"""What comments are full of, and no list of stop words has."""


def is_stop_word(word: str) -> bool:
    """Whether a word in lower case is one in any of LANGUAGES."""
    return word.replace("’", "'") in _words()


@lru_cache
def _words() -> frozenset[str]:
    import stopwordsiso

    return frozenset(stopwordsiso.stopwords(LANGUAGES)) | frozenset(_FURTHER.split())
