"""Files that earlier versions wrote, zlib in base 85: a ticket and a network of 8-bit weights."""

TICKET_2 = (
    "c-pIAWB`L|rTF;V)RM%M#FE7LcqOZ9rR4m)<ixU6-Qt48qT<YwN+m0$>KLW8{G!~%k{Bf`g%}JK3MHAz*{MKD9iU`!VrB|RS"
    "zc*Q4w#>jXk=;z(P(ICU}R=$ZfItamX?@oU}0)zU}Bb-YGi6;kYt>knrxPAY;0(hlxA#_YMg9no|c-LY?zpwW|5p^Y?@}4mI"
    "AS%EEQ;Lejdn3qgtg}9VItoBap*WN-7IdfvyE{bwKulc+tjYu{ug%-{q&J6{nUI1H}w<3{6a8fjSeD@=HsQ^@ds?X*D#%q8F"
    "%B$Jo#Sq&qjUIJ+3PZX-<1K#e-aMn<u<wG0dr2N)Ox92gkx0I`K514APaF9YJ!K>Wdxp@GYZfx!W&#sG*l4nWldF#`~P*w4U"
    "l0f-L(@d6;80K^GE>;S|JAn|=bdLKl;1(F#GNak=HK$fq#mFnln)odW}$LmJ%gavXr@)!I)__S|kDa=Yzk~^}$-1qE3E@o@%"
    "$#c)JDZ83T2+m8|t=nwwlX#?VQ=uWtZjlG+&c>&6xmQJ;{N~Iu?ev+gBH`|$bB`8OPOb>rYG<VEd+_|jdB0Y9$>l1$t_>>ap"
    "RfFCVt{eUq|?8BRb40VId|-FOZnGkJMCvtKZU0)Kf2TS!}+zFP77Z<X#Hqgeo5mu{Z*HvnI?IvG=#XgxHxRPoeKcYLF;A"
)

NETWORK_2 = (
    "c-q^+$N&b_O7ZczsU?Xii6x2g@k&<JO3C?o$%$pDy2S;FMa7vVl}c7h)iFwG`9-;jB{51?3NaWe6!KC_%JYk|W0Z7&vc-v+D"
    "Ij%ur8zlZenz5^sTo9PT3V`EVxmQ=nT4^LMVgUuDv)EEY-C}UmS|{VZfRg<YMyFrY-wR(kz|~fXqjkWV3KHPYHE^fl45C^Vw"
    "?oAp)3_>ZGIleNTXV%S{)@fV<V8uQ%WieQi09|adklUf_TwJMzK0dVDIIpr4^@^6a&Q!bSx}lff_w6ko5t1NZL#>wOLr`7#b"
    "RbG$tnHmzE&w4Mo;#Xkmh>8K_go$kH67J2$a7yBN1_EDi>0)G;=&jIFIzfB*&thXV`@7C>wO#2P@X0K^hNEC9qD2U3k@+LZ5"
    "(wS88!)0TsU$!@Nnx}DKXAG;He3+?o#ciSQBXKOxa!@|^P(|-7&b)!~21T^+coV~EIbLPU0I~yl&KlQHSR%yQ@SF?eD>w2Ly"
    "U7<zYSC~br*j^^B31l|Z^gYsA@!c;ebK_bA732SZe=2hKXeD$rE==OikWR^}u+zTF-^li&=WqbW35gE-PhP+DTG|e7y=Vjs#"
    "Tiko*(I#0d#fvyO8-_i9&o)BdAeunA1~f772lW437Q&mU8Q^eRHbC2g>LOT9F6a1-F{HH*pSI$IscW5x$4PrC8t;a;qA35>U"
    "`gm<j-$(Pj6SEoXo+l(u_S(^PgSMcs9vXr6I({#l>OU?OXujH3_r"
)
