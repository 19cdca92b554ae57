"""The words that hold sentences together, by language: articles, prepositions, conjunctions, pronouns, auxiliaries."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

_WORDS = {
    "en": "a an the and or of in on at with for from by to into over under above below behind between beside "
    "against near next is are was were be been has have had not no this that these it its he she they we you "
    "i his her their my your our who which there here as than also",
    "ca": "el la els les un una uns unes i o de del dels en amb per al als que és no se més sobre sota com",
    "cs": "a i je na v ve s se z ze do o od po pro při za k ke u že si jako není jsou byl nad pod mezi",
    "da": "en et og i på af med til fra ved for er var ikke det de der som har om under over mellem jeg du vi",
    "de": "der die das den dem des ein eine einen einem einer eines und oder mit von vom im in am an auf aus bei "
    "beim für ist sind nicht zu zum zur nach über unter vor hinter neben zwischen auch sich sie wir ihr wie "
    "als hat haben",
    "es": "el la los las un una unos unas y o de del en con por para al que es son no se su sus más sobre entre "
    "como este esta está lo sin desde hasta muy",
    "et": "ja on ei ning või ka kui oma koos eest juures peal",
    "fi": "ja on ei se että tai kun mutta oli ovat sekä myös joka kanssa päällä alla",
    "fr": "le la les un une des du de d l et ou à au aux en dans sur sous avec pour par est sont pas ne que qui ce "
    "cette ces sa ses leur nous vous il elle chez entre sans",
    "hr": "i u na je se s sa za od do iz po o a ne da koji su ili kao pod nad bez",
    "hu": "a az egy és van nem is hogy ez ki meg volt vagy alatt fölött mellett",
    "id": "dan di ke dari yang untuk dengan pada ini itu adalah oleh atas bawah dalam atau tidak seorang seekor sebuah",
    "it": "il lo la i gli le un uno una e o di del della dei delle dello degli da dal dalla in nel nella con su sul "
    "sulla per al alla ai che è sono non si ed tra fra questo questa",
    "lt": "ir yra su iš į ant kad ne bet apie už prie per nuo po",
    "lv": "un ir ar no uz par pie kas ka pa lai virs zem",
    "ms": "dan di ke dari yang untuk dengan pada ini itu adalah oleh atas bawah dalam atau tidak seorang seekor sebuah",
    "nl": "de het een en of van in op met voor te bij naar uit om aan is zijn niet over onder boven naast ook wij "
    "je ik die dat deze",
    "no": "en et ei og i på av med til fra ved for er var ikke det de som har om under over mellom jeg du vi",
    "pl": "i w we na z ze do o od po dla przy za nad pod się jest są nie to że jak oraz lub bez",
    "pt": "o a os as um uma uns umas e ou de do da dos das em no na nos nas com por para ao à pelo pela que é são "
    "não se seu sua mais sobre entre como este esta sem você",
    "ro": "un o și şi de din la pe cu pentru în este sunt nu se că care mai prin sau lui al ale ai",
    "sk": "a i je na v vo s so z zo do o od po pre pri za k ku u že si ako nie sú nad pod medzi",
    "sl": "in je na v s z za od do iz po o se ne da ki so ali kot pod nad brez pri",
    "sv": "en ett och i på av med till från vid för är var inte det de som har om under över mellan jag du vi",
    "tl": "ang ng sa mga at na ay ni si kay para hindi ito isang nasa",
    "tr": "ve bir bu ile için da de ki mi ne çok daha gibi olan var içinde üzerinde altında",
    "vi": "và của là có cho một các được trong với không này trên dưới những người",
    "bg": "и в на с от за се да не е са по до при като под над",
    "ru": "и в во на с со из за от до по у о не что как это для под над при к или",
    "uk": "і й в у на з із за від до по не що як це для під над при та або",
}

FUNCTION_WORDS = MappingProxyType({language: frozenset(words.split()) for language, words in _WORDS.items()})
"""In lower case, by ISO 639-1 code. Languages that are told apart by their script are left out, and so are words that
mean something else in English, such as "war", "son", "plus" and "mint"."""


def function_words_of(languages: Iterable[str]) -> frozenset[str]:
    """The function words of any of the languages."""
    return frozenset().union(*(FUNCTION_WORDS.get(language, frozenset()) for language in languages))
